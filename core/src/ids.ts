// Names and ids that cross process boundaries, and the one place that says what they look like.
// Every decoder of outside input checks names with these before it uses one in a path or a query.

/** A manifest's CID (v1, dag-cbor, BLAKE3-256) in base32: names an artifact everywhere. */
export type ArtifactCid = string;
/** A libp2p peer id of an Ed25519 key, in base58btc ("12D3KooW…"): names a host's key. */
export type PeerId = string;
/** Chosen by the operator or the machine's hostname; unique in a region. */
export type HostId = string;
/** `<environment>/<service>`: names a service within one fleet. */
export type ServiceKey = string;

const namePattern = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;
const hostIdPattern = /^[A-Za-z0-9](?:[A-Za-z0-9._-]{0,126}[A-Za-z0-9])?$/;
const commitPattern = /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/;
const cidPattern = /^b[a-z2-7]{50,80}$/;
const peerIdPattern = /^12D3KooW[1-9A-HJ-NP-Za-km-z]{44}$/;

/** Names of projects, services, environments, regions, zones, builders: a DNS label. */
export function isName(text: string): boolean {
  return namePattern.test(text);
}

export function isHostId(text: string): boolean {
  return hostIdPattern.test(text);
}

/** A full SHA-1 or SHA-256 commit id in lower case; abbreviations are resolved before they get here. */
export function isCommit(text: string): boolean {
  return commitPattern.test(text);
}

/** The shape of an artifact CID; `decodeCid` in cid.ts checks the whole of it. */
export function isArtifactCid(text: string): boolean {
  return cidPattern.test(text);
}

export function isPeerId(text: string): boolean {
  return peerIdPattern.test(text);
}

export function serviceKey(environment: string, service: string): ServiceKey {
  return `${environment}/${service}`;
}

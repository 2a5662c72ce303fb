// Members of a swarm that take everything that one host has, verify it, and drop it: the real protocol with
// a real passport each, without a disk. They link with that host alone, so nobody asks them for anything.
import { readFile } from "node:fs/promises";
import type { Manifest } from "@shoal/core/content/manifest";
import { ShoalError } from "@shoal/core/error";
import { hourMs } from "@shoal/core/units";
import { createLog } from "@shoal/daemon/log";
import { createPeerNode } from "@shoal/peer/node";
import type { ArtifactStorage, Membership, PeerCandidate, PeerNode } from "@shoal/peer/peer-node";
import { createCertificate } from "@shoal/trust/certificate";
import { createKey, readKey } from "@shoal/trust/key-file";
import { issuePassport, swarmRoles, verifyPassport } from "@shoal/trust/passport";
import { openTrustDocument, type TrustDocument } from "@shoal/trust/trust-document";
import type { BenchKeys } from "../queue/control-planes.ts";

export interface Taken {
  readonly cid: string;
  readonly manifest: Manifest;
  /** Who has it. */
  readonly from: PeerCandidate;
  readonly region: string;
  readonly environment: string;
}

export class Takers implements AsyncDisposable {
  readonly #nodes: PeerNode[] = [];
  readonly #memberships: Membership[] = [];

  /** Bytes that each has taken so far. */
  bytes(): readonly number[] {
    return this.#memberships.map((membership) => membership.progress().bytesFromPeers);
  }

  /** Starts so many; they take from now on. */
  async start(count: number, keys: BenchKeys, taken: Taken): Promise<void> {
    const { trustFile, keyFile, rootPublicKey } = keys.settings;
    const root = Uint8Array.fromBase64(String(rootPublicKey), { alphabet: "base64url" });
    const trust = openTrustDocument(JSON.parse(await readFile(String(trustFile), "utf8")), [root]);
    for (let number = 1; number <= count; number += 1) {
      const node = await startNode(`taker-${number}`, { keyFile: String(keyFile), trust }, taken);
      this.#nodes.push(node);
      const { cid, manifest, from } = taken;
      const membership = node.join({ cid, manifest, storage: nowhere, priority: 0 });
      // It ends when the node does, before everything was taken.
      membership.done.catch(() => undefined);
      membership.addPeers([from]);
      this.#memberships.push(membership);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#nodes.map((node) => node.stop()));
  }
}

/** What was verified is forgotten. */
const nowhere: ArtifactStorage = {
  heldChunks: () => new Uint8Array(0),
  writeRun: async () => undefined,
  readRun: async () => {
    throw new ShoalError("chunk_missing", "nothing is kept", { blame: "local" });
  },
};

async function startNode(
  host: string,
  { keyFile, trust }: { readonly keyFile: string; readonly trust: TrustDocument },
  { from, region, environment }: Taken,
): Promise<PeerNode> {
  const key = createKey();
  const { peerId } = key;
  const facts = { peerId, host, region, zone: from.zone, role: "host", labels: {} } as const;
  const issuer = await readKey(keyFile);
  const passport = await issuePassport(issuer, { ...facts, environment }, 24 * hourMs, Date.now());
  return createPeerNode(
    {
      key,
      certificate: await createCertificate(key),
      passport: () => passport,
      verifyPassport: (shown, peer) => {
        const check = { nowMs: Date.now(), peerId: peer, roles: swarmRoles };
        return verifyPassport(shown, trust, { ...check, isRevoked: () => false });
      },
      isRevoked: () => false,
      allows: (_cid, shown) => shown.peerId === from.peerId,
      log: createLog(host, "fatal"),
    },
    { listen: ["/ip4/127.0.0.1/tcp/0"], seeder: false },
  );
}

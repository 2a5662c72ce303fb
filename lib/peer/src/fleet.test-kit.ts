// Real nodes on the loopback for tests: keys, passports, an artifact of pseudo-random bytes, and a
// storage in memory. Everything that is started is stopped by `close`.
import { cidOf } from "@shoal/core/cid";
import { encodeManifest } from "@shoal/core/content/manifest-codec";
import type { Manifest } from "@shoal/core/content/manifest";
import { digest } from "@shoal/core/digest";
import { ShoalError } from "@shoal/core/error";
import type { ArtifactCid } from "@shoal/core/ids";
import { Prng } from "@shoal/core/prng";
import { bitfieldOf, setBit } from "@shoal/core/swarm/bitfield";
import { kibibyte } from "@shoal/core/units";
import { createLog } from "@shoal/daemon/log";
import { createCertificate } from "@shoal/trust/certificate";
import { createKey, type KeyFile } from "@shoal/trust/key-file";
import {
  issuePassport,
  type PassportFacts,
  swarmRoles,
  verifyPassport,
} from "@shoal/trust/passport";
import { createSigners, nowMs, type Signers, trustOf } from "@shoal/trust/signers.test-kit";
import { createPeerNode, type PeerNodeConfig, type PeerNodeDeps } from "./node.ts";
import type { ArtifactStorage, Membership, PeerCandidate, PeerNode } from "./peer-node.ts";

export interface Artifact {
  readonly cid: ArtifactCid;
  readonly manifest: Manifest;
  readonly chunks: readonly Uint8Array[];
}

/** Chunks of pseudo-random bytes, of unequal sizes. */
export function artifactOf(chunkCount: number, seed: number, meanBytes = 256 * kibibyte): Artifact {
  const prng = new Prng(seed);
  const chunks: Uint8Array[] = [];
  const hashes = new Uint8Array(chunkCount * 32);
  for (let index = 0; index < chunkCount; index += 1) {
    const words = new Uint32Array(Math.floor((meanBytes / 4) * (0.5 + prng.next())));
    const first = prng.nextUint32();
    for (let at = 0; at < words.length; at += 1) words[at] = Math.imul(first + at, 0x9e3779b1);
    const chunk = new Uint8Array(words.buffer);
    chunks.push(chunk);
    hashes.set(digest(chunk), index * 32);
  }
  const bytes = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
  const manifest: Manifest = {
    kind: "file",
    entries: [{ type: "file", path: "app", mode: 0o755, bytes }],
    bytes,
    chunkHashes: hashes,
    chunkBytes: Uint32Array.from(chunks, (chunk) => chunk.length),
  };
  return { cid: cidOf(encodeManifest(manifest)), manifest, chunks };
}

export class MemoryStorage implements ArtifactStorage {
  readonly chunks: (Uint8Array | undefined)[];
  writes = 0;
  readonly #chunkBytes: Uint32Array;

  constructor(artifact: Artifact, holds: (chunk: number) => boolean) {
    this.#chunkBytes = artifact.manifest.chunkBytes;
    this.chunks = artifact.chunks.map((chunk, index) => (holds(index) ? chunk : undefined));
  }

  heldChunks(): Uint8Array {
    const held = bitfieldOf(this.chunks.length);
    for (const [index, chunk] of this.chunks.entries())
      if (chunk !== undefined) setBit(held, index);
    return held;
  }

  async readRun(firstChunk: number, count: number, into: Uint8Array): Promise<void> {
    let start = 0;
    for (const chunk of this.chunks.slice(firstChunk, firstChunk + count)) {
      if (chunk === undefined)
        throw new ShoalError("chunk_missing", "not held", { blame: "local" });
      into.set(chunk, start);
      start += chunk.length;
    }
  }

  async writeRun(firstChunk: number, count: number, bytes: Uint8Array): Promise<void> {
    let start = 0;
    for (let chunk = firstChunk; chunk < firstChunk + count; chunk += 1) {
      const end = start + (this.#chunkBytes[chunk] ?? 0);
      this.writes += 1;
      this.chunks[chunk] = bytes.slice(start, end);
      start = end;
    }
  }
}

/** Answers every read with other bytes than it should. */
export class LyingStorage extends MemoryStorage {
  override async readRun(firstChunk: number, count: number, into: Uint8Array): Promise<void> {
    await super.readRun(firstChunk, count, into);
    for (const [at, byte] of into.entries()) into[at] = byte ^ 1;
  }
}

export interface Member {
  readonly key: KeyFile;
  readonly node: PeerNode;
  readonly candidate: PeerCandidate;
}

export interface MemberOptions {
  readonly seeder?: boolean;
  readonly zone?: string;
  readonly environment?: string | null;
  readonly ttlMs?: number;
  /** Who signs its passport; the trusted key by default. */
  readonly issuer?: KeyFile;
  /** Whether it has its passport yet. */
  readonly hasPassport?: () => boolean;
  readonly config?: Partial<PeerNodeConfig>;
  readonly deps?: Partial<PeerNodeDeps>;
}

/** A region's trust, and the nodes that were started in it. */
export class Fleet {
  readonly signers: Signers = createSigners();
  /** Peers that every member knows to be shut out. */
  readonly revoked: Set<string> = new Set();
  readonly #nodes: PeerNode[] = [];

  async member(options: MemberOptions = {}): Promise<Member> {
    const { seeder = false, zone = "a" } = options;
    const trust = trustOf(this.signers);
    const { key, passport } = await this.papers(options);
    const isRevoked = (peer: string): boolean => this.revoked.has(peer);
    const node = await createPeerNode(
      {
        key,
        passport: () => (options.hasPassport?.() === false ? "" : passport),
        verifyPassport: async (jws, peerId) => {
          const verified = await verifyPassport(jws, trust, {
            nowMs,
            peerId,
            roles: swarmRoles,
            isRevoked,
          });
          // The signers of the test kit live in a year of their own.
          return { ...verified, expiresAtMs: verified.expiresAtMs - nowMs + Date.now() };
        },
        allows: () => true,
        isRevoked,
        certificate: await createCertificate(key),
        log: createLog("test", process.env["SWARM_LOG"] === "1" ? "debug" : "fatal"),
        ...options.deps,
      },
      { listen: ["/ip4/127.0.0.1/tcp/0"], seeder, ...options.config },
    );
    this.#nodes.push(node);
    const candidate = { peerId: node.peerId, swarmAddresses: node.addresses(), zone, seeder };
    return { key, node, candidate };
  }

  /** A key and its passport, without a node. */
  async papers(options: MemberOptions = {}): Promise<{ key: KeyFile; passport: string }> {
    const key = createKey();
    const { seeder = false, zone = "a", environment = seeder ? null : "production" } = options;
    const facts: PassportFacts = {
      peerId: key.peerId,
      host: `host-${this.#nodes.length}`,
      region: "north",
      zone,
      role: seeder ? "seeder" : "host",
      labels: {},
      environment,
    };
    const issuer = options.issuer ?? this.signers.passports;
    return { key, passport: await issuePassport(issuer, facts, options.ttlMs ?? 1e9, nowMs) };
  }

  async close(): Promise<void> {
    await Promise.all(this.#nodes.map((node) => node.stop()));
  }
}

/** A member that joined, with its storage. */
export interface Joined {
  readonly membership: Membership;
  readonly storage: MemoryStorage;
}

export function join(
  { node }: Member,
  artifact: Artifact,
  storage: MemoryStorage = new MemoryStorage(artifact, () => false),
): Joined {
  const { cid, manifest } = artifact;
  return { storage, membership: node.join({ cid, manifest, storage, priority: 0 }) };
}

export function seed(member: Member, artifact: Artifact): Joined {
  return join(member, artifact, new MemoryStorage(artifact, () => true));
}

/** Resolves when the condition holds; fails with what `describe` says after a deadline. */
export async function until(
  condition: () => boolean,
  describe: () => string,
  timeoutMs = 15_000,
): Promise<void> {
  const endMs = performance.now() + timeoutMs;
  while (!condition()) {
    if (performance.now() > endMs) throw new Error(`not within ${timeoutMs} ms: ${describe()}`);
    await new Promise((resolve) => {
      setTimeout(resolve, 10);
    });
  }
}

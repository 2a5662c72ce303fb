// For tests of the seeder: the keys of a fleet, what they sign, and artifacts to pass around. The
// signatures are real; only the clock stands where the test puts it.
import { cidOf } from "@shoal/core/cid";
import { encodeManifest } from "@shoal/core/content/manifest-codec";
import type { ChunkFrame } from "@shoal/core/content/chunk-frames";
import { digest } from "@shoal/core/digest";
import { Prng } from "@shoal/core/prng";
import type { Goal } from "@shoal/core/rollout/goal";
import type { Release } from "@shoal/core/rollout/release";
import { releaseId } from "@shoal/core/rollout/release-id";
import type { Envelope } from "@shoal/core/trust/dsse";
import { minuteMs } from "@shoal/core/units";
import { signGoal } from "@shoal/trust/goal-envelope";
import { issueGrant, type GrantFacts } from "@shoal/trust/grant";
import { createKey, type KeyFile } from "@shoal/trust/key-file";
import { issuePassport, type PassportFacts } from "@shoal/trust/passport";
import { signStatement } from "@shoal/trust/statement";
import { trustKeyOf, type TrustDocument } from "@shoal/trust/trust-document";

export const startMs: number = Date.parse("2026-06-01T00:00:00Z");
const later = "2027-01-01T00:00:00Z";
const commit = "0123456789abcdef0123456789abcdef01234567";

export interface TestArtifact {
  readonly cid: string;
  readonly manifestBytes: Uint8Array;
  readonly hashes: Uint8Array;
  readonly frames: readonly ChunkFrame[];
}

/** A file of `count` chunks whose content follows from the seed; chunk i is the same for the same `seed + i`. */
export function makeArtifact(seed: number, count: number, chunkBytes = 5000): TestArtifact {
  const frames = Array.from({ length: count }, (_unused, index) => {
    const prng = new Prng(seed + index);
    const bytes = new Uint8Array(chunkBytes);
    for (let at = 0; at < chunkBytes; at += 1) bytes[at] = prng.nextUint32();
    return { hash: digest(bytes), bytes };
  });
  const hashes = new Uint8Array(Buffer.concat(frames.map(({ hash }) => hash)));
  const bytes = count * chunkBytes;
  const manifestBytes = encodeManifest({
    kind: "file",
    entries: [{ type: "file", path: "program", mode: 0o755, bytes }],
    bytes,
    chunkHashes: hashes,
    chunkBytes: new Uint32Array(count).fill(chunkBytes),
  });
  return { cid: cidOf(manifestBytes), manifestBytes, hashes, frames };
}

export function makeRelease(artifact: string): Release {
  const health = {
    type: "none" as const,
    intervalMs: 1000,
    timeoutMs: 1000,
    startupMs: 1000,
    healthyAfterCount: 1,
    unhealthyAfterCount: 1,
  };
  const run = {
    command: ["./program"],
    environment: {},
    port: null,
    health,
    stopTimeoutMs: 1000,
    memoryBytesMax: null,
  };
  const content = { artifact, project: "web", commit, run };
  return { id: releaseId(content), ...content };
}

export function makeGoal(changes: Partial<Goal> = {}): Goal {
  return {
    format: "shoal.goal/v1",
    environment: "production",
    region: "north",
    service: "web",
    epoch: 1,
    generation: 1,
    rollout: null,
    prepare: [],
    run: null,
    fallback: null,
    switch: { type: "none" },
    salt: "salt",
    selector: {},
    issuedAt: "2026-06-01T00:00:00Z",
    ...changes,
  };
}

/** What signs statements of projects web and api, goals, and passports and grants. */
export interface FleetKeys {
  readonly builder: KeyFile;
  readonly apiBuilder: KeyFile;
  readonly goals: KeyFile;
  readonly papers: KeyFile;
}

/** Projects web and api, environment production, regions north and south. */
export class TestFleet implements FleetKeys {
  readonly builder: KeyFile;
  readonly apiBuilder: KeyFile;
  readonly goals: KeyFile;
  readonly papers: KeyFile;
  readonly trust: TrustDocument;

  /** With keys of its own unless given. */
  constructor(keys?: FleetKeys) {
    const builder = keys?.builder ?? createKey();
    const apiBuilder = keys?.apiBuilder ?? createKey();
    const goals = keys?.goals ?? createKey();
    const papers = keys?.papers ?? createKey();
    this.builder = builder;
    this.apiBuilder = apiBuilder;
    this.goals = goals;
    this.papers = papers;
    const regions = ["north", "south"];
    this.trust = {
      format: "shoal.trust/v1",
      version: 1,
      issuedAt: "2026-01-01T00:00:00Z",
      expires: later,
      keys: [builder, apiBuilder, goals, papers].map((key) => trustKeyOf(key.publicKey, later)),
      statements: [
        { key: builder.keyId, projects: ["web"] },
        { key: apiBuilder.keyId, projects: ["api"] },
      ],
      goals: [{ key: goals.keyId, environments: ["production"] }],
      passports: [{ key: papers.keyId, regions }],
      grants: [{ key: papers.keyId, regions }],
    };
  }

  grant(facts: GrantFacts, nowMs: number = startMs): Promise<string> {
    return issueGrant(this.papers, facts, 10 * minuteMs, nowMs);
  }

  ingestGrant(project = "web", region = "north", fence = "1"): Promise<string> {
    const regions = [region];
    return this.grant({ scope: "ingest", regions, project, build: 1, attempt: 1, fence });
  }

  passport(key: KeyFile, facts: Partial<PassportFacts> = {}): Promise<string> {
    const all: PassportFacts = {
      peerId: key.peerId,
      host: "host-1",
      region: "north",
      zone: "default",
      role: "host",
      labels: {},
      environment: "production",
      ...facts,
    };
    return issuePassport(this.papers, all, 60 * minuteMs, startMs);
  }

  statement(artifact: string, project = "web", key: KeyFile = this.keyOf(project)): Envelope {
    return signStatement(key, {
      project,
      commit,
      artifact,
      remoteUrl: "https://git.example/web",
      buildCommand: "make",
      artifactPath: "out",
      builder: "builder-1",
      build: 1,
      attempt: 1,
      startedAtMs: startMs,
      finishedAtMs: startMs,
    });
  }

  keyOf(project: string): KeyFile {
    return project === "api" ? this.apiBuilder : this.builder;
  }

  goal(changes: Partial<Goal> = {}, key: KeyFile = this.goals): Envelope {
    return signGoal(key, makeGoal(changes));
  }
}

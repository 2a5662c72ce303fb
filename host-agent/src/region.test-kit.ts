// A region in memory for tests of the agent: a seeder that answers over real pinned TLS what a test puts
// into it, the keys that sign, and a swarm that hands out chunks. Only the clock stands still.
import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import type { TLSSocket } from "node:tls";
import type { Envelope } from "@shoal/api/names";
import type { TrustState } from "@shoal/api/trust";
import { hostReport, type HostGoals, type HostReport } from "@shoal/api/seeder";
import { ShoalError } from "@shoal/core/error";
import { cidOf } from "@shoal/core/cid";
import type { Manifest } from "@shoal/core/content/manifest";
import { blockAt, blocksOf, isInBlocks } from "@shoal/core/content/manifest-blocks";
import { decodeManifest, encodeManifest } from "@shoal/core/content/manifest-codec";
import { digest } from "@shoal/core/digest";
import type { ArtifactCid } from "@shoal/core/ids";
import { Prng } from "@shoal/core/prng";
import type { Goal } from "@shoal/core/rollout/goal";
import type { PeerCandidate } from "@shoal/peer/peer-node";
import { createCertificate, peerIdOfCertificate } from "@shoal/trust/certificate";
import { signGoal } from "@shoal/trust/goal-envelope";
import { createKey } from "@shoal/trust/key-file";
import { issuePassport, swarmRoles, verifyPassport } from "@shoal/trust/passport";
import { createSigners, nowMs, trustOf, type Signers } from "@shoal/trust/signers.test-kit";
import { signStatement } from "@shoal/trust/statement";
import { signTrustDocument, type TrustDocument } from "@shoal/trust/trust-document";
import { editionOf, type TrustKeeper } from "@shoal/trust/trust-keeper";
import { openTestTrust } from "@shoal/trust/keeper.test-kit";
import { onTestFinished } from "vitest";
import type { SeederAddress } from "./seeders.ts";

export { nowMs };
export const passportTtlMs = 7 * 24 * 3_600_000;

export interface TestArtifact {
  readonly cid: ArtifactCid;
  readonly manifestBytes: Uint8Array;
  readonly chunks: readonly Uint8Array[];
}

/** One executable of `count` chunks; chunk i is the same for the same `seed + i`. */
export function makeArtifact(seed: number, count: number): TestArtifact {
  const chunkBytes = 3000;
  const chunks = Array.from({ length: count }, (_, index) => {
    const prng = new Prng(seed + index);
    return Uint8Array.from({ length: chunkBytes }, () => prng.below(256));
  });
  const bytes = count * chunkBytes;
  const manifestBytes = encodeManifest({
    kind: "file",
    entries: [{ type: "file", path: "program", mode: 0o755, bytes }],
    bytes,
    chunkHashes: new Uint8Array(Buffer.concat(chunks.map(digest))),
    chunkBytes: new Uint32Array(count).fill(chunkBytes),
  });
  return { cid: cidOf(manifestBytes), manifestBytes, chunks };
}

/** A tree of a script, executable, and `dataBytes` of data from the seed. */
export function makeProgram(seed: number, script: string, dataBytes: number): TestArtifact {
  const prng = new Prng(seed);
  const data = Uint8Array.from({ length: dataBytes }, () => prng.below(256));
  const code = new TextEncoder().encode(script);
  const size = 65_536;
  const chunks = [
    ...Array.from({ length: Math.ceil(dataBytes / size) }, (_, index) =>
      data.subarray(index * size, (index + 1) * size),
    ),
    code,
  ];
  const manifestBytes = encodeManifest({
    kind: "tree",
    entries: [
      { type: "file", path: "data", mode: 0o644, bytes: dataBytes },
      { type: "file", path: "serve", mode: 0o755, bytes: code.length },
    ],
    bytes: dataBytes + code.length,
    chunkHashes: new Uint8Array(Buffer.concat(chunks.map(digest))),
    chunkBytes: Uint32Array.from(chunks.map((chunk) => chunk.length)),
  });
  return { cid: cidOf(manifestBytes), manifestBytes, chunks };
}

/** The key that is expired stays so; all others, and the document, never end. */
function withoutEnd(trust: TrustDocument): TrustDocument {
  const end = "9999-12-31T00:00:00Z";
  const keys = trust.keys.map((key) =>
    Date.parse(key.notAfter) < nowMs ? key : { ...key, notAfter: end },
  );
  return { ...trust, expires: end, keys };
}

/** What the region has. Seeders of one region answer the same. */
export class TestRegion {
  readonly signers: Signers = createSigners();
  readonly trust: TrustDocument = withoutEnd(trustOf(this.signers));
  /** Signed as a trust document is in a file. */
  readonly signedTrust: Envelope = signTrustDocument(this.signers.root, this.trust);
  /** The clock that papers are dated by. */
  now: () => number = () => nowMs;
  /** What every announcement is answered with. */
  peers: PeerCandidate[] = [];
  readonly artifacts: Map<ArtifactCid, TestArtifact> = new Map();
  readonly statements: Map<ArtifactCid, Envelope> = new Map();
  readonly reports: HostReport[] = [];
  /** Why reports were refused. */
  readonly faults: string[] = [];
  readonly joins: { readonly host: string; readonly joinToken: string }[] = [];
  passportTtlMs: number = passportTtlMs;
  /** Passports that were renewed by showing them. */
  renewals = 0;
  /** Instead of the document that the region began with. */
  trustState: TrustState = { documents: [this.signedTrust], revocations: [] };
  goals: Envelope[] = [];
  goalsVersion = 0;

  setGoals(...goals: readonly Goal[]): void {
    this.goals = goals.map((goal) => signGoal(this.signers.goals, goal));
    this.goalsVersion += 1;
  }

  /** What a host of the region that was just installed believes. */
  async keeper(): Promise<TrustKeeper> {
    const { root } = this.signers;
    const config = { now: () => nowMs, region: "north", root };
    return (await openTestTrust(this.trust, config)).keeper;
  }

  add(artifact: TestArtifact, project = "web"): TestArtifact {
    this.artifacts.set(artifact.cid, artifact);
    this.statements.set(artifact.cid, this.statement(artifact.cid, project));
    return artifact;
  }

  /** A chunk of an artifact, or a block of its manifest. */
  chunk(cid: ArtifactCid, index: number, isBlock: boolean): Uint8Array {
    const artifact = this.artifacts.get(cid);
    if (artifact !== undefined && isBlock) return blockAt(artifact.manifestBytes, index, 1);
    return artifact?.chunks[index] ?? new Uint8Array();
  }

  statement(cid: ArtifactCid, project = "web"): Envelope {
    return signStatement(this.signers.builder, {
      project,
      commit: "c".repeat(40),
      artifact: cid,
      remoteUrl: "https://example.org/web.git",
      buildCommand: "make",
      artifactPath: "out",
      builder: "builder-1",
      build: 1,
      attempt: 1,
      startedAtMs: nowMs - 2000,
      finishedAtMs: nowMs - 1000,
    });
  }
}

export interface TestSeeder extends SeederAddress {
  /** Answers, when set, in the place of what the region has; undefined goes on as usual. */
  answer: (
    path: string,
  ) => { readonly status: number; readonly body: Uint8Array | object } | undefined;
  readonly asked: string[];
  stop(): Promise<void>;
}

/** Starts a seeder of the region; it ends with the test. */
export async function startTestSeeder(region: TestRegion): Promise<TestSeeder> {
  const key = createKey();
  const certificate = await createCertificate(key);
  const server = createServer(
    { ...certificate, requestCert: true, rejectUnauthorized: false },
    (request, response) => {
      void (async () => {
        const path = request.url ?? "";
        seeder.asked.push(`${request.method} ${path}`);
        const { status, body } = seeder.answer(path) ?? (await answerOf(region, seeder, request));
        const bytes = body instanceof Uint8Array ? body : JSON.stringify(body);
        response.writeHead(status, {
          "content-type":
            body instanceof Uint8Array ? "application/octet-stream" : "application/json",
        });
        response.end(status === 304 || status === 204 ? undefined : bytes);
      })();
    },
  );
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const seeder: TestSeeder = {
    url: `https://127.0.0.1:${(server.address() as AddressInfo).port}`,
    peerId: key.peerId,
    answer: () => undefined,
    asked: [],
    stop: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  onTestFinished(() => seeder.stop());
  return seeder;
}

interface Answer {
  readonly status: number;
  readonly body: Uint8Array | object;
}

async function answerOf(
  region: TestRegion,
  seeder: SeederAddress,
  request: IncomingMessage,
): Promise<Answer> {
  const { pathname, searchParams } = new URL(request.url ?? "", "https://seeder");
  const [, , kind, cid = "", what] = pathname.split("/");
  if (pathname === "/v1/join") return join(region, request);
  if (pathname === "/v1/host/trust") return { status: 200, body: region.trustState };
  if (pathname === "/v1/host/passport") return renew(region, request);
  if (pathname === "/v1/host/report") {
    // As strict as a real seeder.
    const report = hostReport.safeParse(await readJson(request));
    if (!report.success) {
      region.faults.push(report.error.message);
      return problem(400, "invalid_input");
    }
    region.reports.push(report.data);
    return { status: 204, body: {} };
  }
  if (pathname === "/v1/host/goals") {
    const version = String(region.goalsVersion);
    if (searchParams.get("known") === version) return { status: 304, body: {} };
    const { url, peerId } = seeder;
    const statements = Object.fromEntries(region.statements);
    const seeders = [{ url, peerId, swarmAddresses: [] }];
    const trustEdition = editionOf(region.trustState);
    const goals: HostGoals = { version, trustEdition, goals: region.goals, statements, seeders };
    return { status: 200, body: goals };
  }
  const artifact = kind === "artifacts" ? region.artifacts.get(cid) : undefined;
  if (artifact === undefined) return problem(404, "not_found");
  if (what === "manifest") {
    const isLong =
      searchParams.get("blocks") === "true" && isInBlocks(artifact.manifestBytes.length);
    const body = isLong ? blocksOf(artifact.manifestBytes).encoded : artifact.manifestBytes;
    return { status: 200, body };
  }
  if (what === "announce") return { status: 200, body: { peers: region.peers, againMs: 250 } };
  return { status: 200, body: region.statements.get(cid) ?? {} };
}

async function join(region: TestRegion, request: IncomingMessage): Promise<Answer> {
  const { host, zone, labels, joinToken } = (await readJson(request)) as {
    readonly host: string;
    readonly zone: string;
    readonly labels: Record<string, string>;
    readonly joinToken: string;
  };
  region.joins.push({ host, joinToken });
  if (joinToken !== "good-token") return problem(401, "join_token_invalid");
  const der = (request.socket as TLSSocket).getPeerX509Certificate()?.raw ?? new Uint8Array();
  const peerId = peerIdOfCertificate(der);
  const facts = {
    peerId,
    host,
    zone,
    labels,
    region: "north",
    role: "host",
    environment: null,
  } as const;
  const { signers, passportTtlMs: ttlMs } = region;
  return {
    status: 200,
    body: { passport: await issuePassport(signers.passports, facts, ttlMs, region.now()) },
  };
}

async function renew(region: TestRegion, request: IncomingMessage): Promise<Answer> {
  const shown = (request.headers.authorization ?? "").replace("Bearer ", "");
  const der = (request.socket as TLSSocket).getPeerX509Certificate()?.raw ?? new Uint8Array();
  const peerId = peerIdOfCertificate(der);
  const check = { nowMs: region.now(), peerId, roles: swarmRoles, isRevoked: () => false };
  try {
    const facts = await verifyPassport(shown, region.trust, check);
    region.renewals += 1;
    const { signers, passportTtlMs: ttlMs } = region;
    const passport = await issuePassport(signers.passports, facts, ttlMs, region.now());
    return { status: 200, body: { passport } };
  } catch (error) {
    return problem(401, error instanceof ShoalError ? error.code : "internal_error");
  }
}

export function problem(status: number, code: string): Answer {
  return {
    status,
    body: { type: "about:blank", title: code, status, code, retryable: false, requestId: "r" },
  };
}

async function readJson(request: IncomingMessage): Promise<unknown> {
  const parts: Uint8Array[] = [];
  for await (const part of request) parts.push(part as Uint8Array);
  return JSON.parse(Buffer.concat(parts).toString("utf8"));
}

export function manifestOf({ manifestBytes }: TestArtifact): Manifest {
  return decodeManifest(manifestBytes);
}

// Whatever remote peers say, in whatever order: the scheduler doesn't throw, orders nothing that it may
// not, and keeps its bounds. Its own invariants are asserted inside it.
import fc from "fast-check";
import { expect, test } from "vitest";
import { kibibyte } from "../units.ts";
import type { SwarmInput } from "./events.ts";
import { bits, Script, smallPieces } from "./script.test-kit.ts";

const pieces = smallPieces(5);
const link = fc.integer({ min: 1, max: 4 });
const request = fc.oneof(fc.nat(6), fc.constantFrom(4096, 4097, 8192, 0xffff_ffff));
const chunk = fc.integer({ min: 0, max: 21 });
const artifact = fc.constantFrom(1, 1, 1, 2);
const bit = fc.array(fc.nat(4), { maxLength: 5 }).map((set) => bits(5, set));

/** What a peer can say, and what happens to links and downloads. */
const saying: fc.Arbitrary<SwarmInput> = fc.oneof(
  fc.record({ type: fc.constantFrom("peerJoined", "peerLeft"), link, artifact }),
  fc.record({
    type: fc.constant("bitfieldReceived" as const),
    link,
    artifact,
    pieces: fc.oneof(bit, bit, bit, fc.uint8Array({ maxLength: 3 })),
  }),
  fc.record({
    type: fc.constant("havesReceived" as const),
    link,
    artifact,
    pieces: fc.array(fc.nat(5), { minLength: 1, maxLength: 4 }).map((a) => Uint32Array.from(a)),
    count: fc.constant(1),
  }),
  fc.record({
    type: fc.constant("requestReceived" as const),
    link,
    artifact,
    request,
    firstChunk: chunk,
    count: fc.nat(5),
  }),
  fc.record({
    type: fc.constantFrom("cancelReceived", "rejectReceived", "requestLost"),
    link,
    request,
  }),
  fc.record({ type: fc.constant("chunkReceived" as const), link, request, chunk }),
  fc.record({
    type: fc.constant("permissionChanged" as const),
    link,
    artifact,
    allowed: fc.boolean(),
  }),
  fc.record({ type: fc.constant("linkClosed" as const), link }),
  fc.record({ type: fc.constant("pauseChanged" as const), artifact, paused: fc.boolean() }),
);

/** What the driver and time do between two sayings. */
const turn = fc.record({
  saying,
  waitMs: fc.constantFrom(0, 0, 0, 1, 60, 600, 9000, 40_000),
  /** How the disk answers, and whether an upload ends now. */
  stores: fc.boolean(),
  refuses: fc.boolean(),
  answers: fc.boolean(),
  /** What becomes of a chunk that was on its way from elsewhere on the disk. */
  reuse: fc.constantFrom(undefined, undefined, "chunksReused" as const, "reuseFailed" as const),
});

test("nothing that peers say breaks the scheduler or its bounds", () => {
  const memoryMax = 512 * kibibyte;
  fc.assert(
    fc.property(fc.array(turn, { maxLength: 60 }), (turns) => {
      const script = new Script(pieces, { downloadBytesOpenMax: memoryMax, linksMax: 6 });
      const reusing = [5, 6, 7, 8, 15, 16];
      script.joinArtifact([0, 1, 2, 3, 9], 1, 0, reusing).joinArtifact("all", 2);
      let nextLink = 5;
      const ids = new Map<number, number>();
      const open = (name: number): number => {
        const id = nextLink;
        nextLink += 1;
        ids.set(name, id);
        script.openPeer(id, [name % 5], { artifacts: [1, 2], seeder: name === 4 });
        return id;
      };
      let openBytes = 0;
      const paused = new Set<number>();
      const asked = (): ReturnType<typeof script.take<"request">> => {
        const requests = script.take("request");
        for (const { artifact: slot, firstChunk, count } of requests) {
          expect(paused).not.toContain(slot);
          expect(reusing.filter((at) => at >= firstChunk && at < firstChunk + count)).toEqual([]);
          openBytes += count * 64 * kibibyte;
        }
        return requests;
      };
      for (const { saying, waitMs, stores, refuses, answers, reuse } of turns) {
        const firstChunk = reuse === undefined ? undefined : reusing.pop();
        if (reuse !== undefined && firstChunk !== undefined)
          script.tell({ type: reuse, artifact: 1, firstChunk, count: 1 });
        const name = "link" in saying ? saying.link : 1;
        const id = ids.get(name) ?? open(name);
        if (saying.type === "pauseChanged") {
          // What was asked for before stays open.
          asked();
          if (saying.paused) paused.add(saying.artifact);
          else paused.delete(saying.artifact);
        }
        script.tell({ ...saying, link: id } as SwarmInput).wait(waitMs);
        if (saying.type === "linkClosed") ids.delete(name);
        for (const { link: dropped } of script.take("drop")) {
          for (const [key, value] of ids) if (value === dropped) ids.delete(key);
        }
        for (const request of asked()) {
          const first = { ...request, chunk: request.firstChunk };
          if (answers) script.tell({ ...first, type: "chunkReceived" });
        }
        for (const { artifact: slot, chunk: at, link: from } of script.take("accept")) {
          if (!stores) continue;
          const peer = `peer-${from}`;
          const type = refuses ? "chunkRefused" : "chunkStored";
          script.tell({ type, artifact: slot, chunk: at, link: from, peer });
        }
        for (const upload of script.take("upload")) {
          if (answers) script.tell({ ...upload, type: "uploadEnded", outcome: "sent" });
        }
      }
      const progress = script.swarm.progress(1, script.now);
      expect(progress?.chunksHeld).toBeGreaterThanOrEqual(5);
      expect(progress?.bytesFromPeers).toBeLessThanOrEqual(openBytes);
    }),
    { numRuns: 300 },
  );
}, 60_000);

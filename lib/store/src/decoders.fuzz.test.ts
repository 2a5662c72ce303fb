// Every decoder of bytes that came from elsewhere, fed with damaged golden files: each either answers or
// throws an error of ours, soon, and in memory that its limits bound. SLOW=1 makes it a million inputs each.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setImmediate as nextTurn } from "node:timers/promises";
import { damaged } from "@shoal/core/damage.test-kit";
import { ChunkFrameDecoder, encodeChunkFrame } from "@shoal/core/content/chunk-frames";
import { decodeBlocks } from "@shoal/core/content/manifest-blocks";
import { decodeManifest } from "@shoal/core/content/manifest-codec";
import { digest } from "@shoal/core/digest";
import { remoteError, ShoalError } from "@shoal/core/error";
import { mebibyte } from "@shoal/core/units";
import { Prng } from "@shoal/core/prng";
import { ControlFrameDecoder, encodeControlFrame } from "@shoal/core/wire/control-frames";
import { DataFrameDecoder, DataFrameReader, encodeDataHead } from "@shoal/core/wire/data-frames";
import { decodeMessage } from "@shoal/core/wire/message-codec";
import { expect, test } from "vitest";
import { decodePackRows, packEndBytes, packHeadBytes, packTailBytes } from "./pack-format.ts";
import { decodeProgress, decodeSealed } from "./release-records.ts";

/** For each decoder. */
const count = process.env["SLOW"] === "1" ? 1_000_000 : 2000;
/** What takes longer hangs, also on a machine that does much else. */
const msMax = 10_000;
const growthBytesMax = 256 * mebibyte;
/** The library that hashes gives its memory back between turns of the event loop, as every process has them. */
const inputsPerTurn = 1000;

const fixtures = join(import.meta.dirname, "../../../test/fixtures");
const golden = (folder: string, ending: string): Uint8Array[] =>
  readdirSync(join(fixtures, folder))
    .filter((name) => name.endsWith(ending))
    .map((name) => new Uint8Array(readFileSync(join(fixtures, folder, name))));

interface Decoder {
  readonly name: string;
  readonly valid: readonly Uint8Array[];
  readonly decode: (bytes: Uint8Array) => unknown;
}

const chunk = new Uint8Array(3000).fill(3);
/** The manifest that the golden records are about. */
const recordOf = digest(Uint8Array.of(1));
const decoders: readonly Decoder[] = [
  { name: "manifest", valid: golden("manifest/v1", ".cbor"), decode: decodeManifest },
  { name: "blocks of a manifest", valid: golden("blocks/v1", ".cbor"), decode: decodeBlocks },
  { name: "message", valid: golden("wire/v2", ".cbor"), decode: decodeMessage },
  {
    name: "pack",
    valid: golden("pack/v1", ".pack"),
    decode: (bytes) => {
      const tail = bytes.subarray(Math.max(0, bytes.length - packTailBytes));
      const endBytes = packEndBytes(tail, bytes.length);
      const end = bytes.subarray(bytes.length - endBytes);
      return decodePackRows(bytes.subarray(0, packHeadBytes), end, bytes.length);
    },
  },
  {
    name: "chunk frames",
    valid: [encodeChunkFrame(digest(chunk), chunk), ...golden("frames/v1", "chunk-frame.bin")],
    decode: (bytes) => {
      const decoder = new ChunkFrameDecoder();
      drain(decoder, bytes);
      decoder.finish();
    },
  },
  {
    name: "control frames",
    valid: golden("wire/v2", ".cbor").map((message) => encodeControlFrame(message)),
    decode: (bytes) => drain(new ControlFrameDecoder(), bytes).map(decodeMessage),
  },
  {
    name: "data frames",
    valid: [Buffer.concat([encodeDataHead({ request: 1, chunk: 2, length: chunk.length }), chunk])],
    decode: (bytes) => drain(new DataFrameDecoder(({ request }) => request === 1), bytes),
  },
  {
    name: "frames of bulk sockets",
    valid: [Buffer.concat([encodeDataHead({ request: 1, chunk: 2, length: chunk.length }), chunk])],
    decode: (bytes) => {
      const expects = ({ request }: { request: number }): boolean => request === 1;
      const reader = new DataFrameReader(expects, ({ length }) => new Uint8Array(length));
      for (let at = 0; at < bytes.length;) {
        const part = bytes.subarray(at, at + reader.room().length);
        reader.room().set(part);
        reader.took(part.length);
        at += part.length;
      }
    },
  },
  {
    name: "progress",
    valid: golden("release/v1", "progress.cbor"),
    decode: (bytes) => required(decodeProgress(bytes, recordOf, "boot")),
  },
  {
    name: "sealed",
    valid: golden("release/v1", "sealed.cbor"),
    decode: (bytes) => required(decodeSealed(bytes, recordOf, 2)),
  },
];

/** Records that can't be read count as none; here as refused. */
function required<Value>(value: Value | undefined): Value {
  if (value === undefined) throw remoteError("file_unreadable", "not a record");
  return value;
}

interface FrameDecoder<Frame> {
  push(portion: Uint8Array): void;
  next(): Frame | undefined;
}

function drain<Frame>(decoder: FrameDecoder<Frame>, bytes: Uint8Array): Frame[] {
  const frames: Frame[] = [];
  decoder.push(bytes);
  for (let frame = decoder.next(); frame !== undefined; frame = decoder.next()) frames.push(frame);
  return frames;
}

test.for(decoders.map((decoder) => [decoder.name, decoder] as const))(
  "%s that was damaged is refused or read, and nothing else happens",
  { timeout: 20 * 60_000 },
  async ([, { valid, decode }]) => {
    for (const bytes of valid) decode(bytes);
    const prng = new Prng(Date.now());
    const before = process.memoryUsage().rss;
    let refused = 0;
    for (let input = 0; input < count; input += 1) {
      if (input % inputsPerTurn === 0) await nextTurn();
      const bytes = damaged(valid[prng.below(valid.length)] ?? chunk, prng);
      const startedAt = performance.now();
      try {
        decode(bytes);
      } catch (error) {
        if (!(error instanceof ShoalError)) {
          throw new Error(`not an error of ours for ${bytes.toHex()}`, { cause: error });
        }
        refused += 1;
      }
      const ms = performance.now() - startedAt;
      if (ms > msMax) throw new Error(`${ms} ms for ${bytes.toHex()}`);
    }
    expect(refused).toBeGreaterThan(count / 10);
    expect(process.memoryUsage().rss - before).toBeLessThan(growthBytesMax);
  },
);

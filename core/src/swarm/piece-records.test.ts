import { expect, test } from "vitest";
import { derivePieces } from "../content/pieces.ts";
import { PieceRecords, unlisted } from "./piece-records.ts";
import { Script } from "./script.test-kit.ts";

test("counts the chunks of a piece where they are a byte each", () => {
  const chunkBytes = new Uint32Array(70_000).fill(1);
  const pieces = derivePieces({ bytes: chunkBytes.length, chunkBytes });
  expect(pieces.count).toBe(1);
  const script = new Script(pieces).joinArtifact().openPeer(1, "all");
  expect(script.take("request")).not.toHaveLength(0);
});

test("keeps what is known of each piece when a peer comes at a place beyond", () => {
  const records = new PieceRecords(3);
  records.setPosition(1, 2);
  records.setCopies(1, 7);
  records.setUnrequested(1, 5);
  records.setMissing(1, 6);
  records.setOffered(1, 0);
  records.setOffered(2, 31);
  for (const place of [32, 255]) records.widenFor(place);
  records.setOffered(0, 255);
  expect([0, 1, 2].map((piece) => records.position(piece))).toEqual([unlisted, 2, unlisted]);
  expect(records.copies(1)).toBe(7);
  expect(records.unrequested(1)).toBe(5);
  expect(records.missing(1)).toBe(6);
  const offers: [number, number][] = [];
  for (let piece = 0; piece < 3; piece += 1) {
    for (let place = 0; place < 256; place += 1) {
      if (records.isOffered(piece, place)) offers.push([piece, place]);
    }
  }
  expect(offers).toEqual([
    [0, 255],
    [1, 0],
    [2, 31],
  ]);
  records.clearOffered(0, 255);
  expect(records.isOffered(0, 255)).toBe(false);
});

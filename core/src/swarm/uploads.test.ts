// Who is served beside whom, and before whom, and what may leave the zone.
import { expect, test } from "vitest";
import { kibibyte } from "../units.ts";
import { Script, smallPieces } from "./script.test-kit.ts";

const ask = { type: "requestReceived", artifact: 1, firstChunk: 0, count: 4, request: 1 } as const;

test("peers that have nothing are served few at a time, and those that have much beside them", () => {
  const config = { uploadsToEmpty: 2, piecesPerUpload: 1 };
  const script = new Script(smallPieces(8), config).joinArtifact("all");
  for (const link of [1, 2, 3]) script.openPeer(link, []).tell({ ...ask, link });
  expect(script.take("upload").map(({ link }) => link)).toEqual([1, 2]);
  script.openPeer(4, [4, 5, 6, 7]).tell({ ...ask, link: 4 });
  expect(script.take("upload").map(({ link }) => link)).toEqual([4]);
  script.tell({ type: "uploadEnded", link: 1, request: 1, outcome: "sent" });
  expect(script.take("upload").map(({ link }) => link)).toEqual([3]);
});

test("what is still sent to a peer that may have nothing any more isn't counted as another's", () => {
  const config = { uploadsToEmpty: 1, piecesPerUpload: 1 };
  const script = new Script(smallPieces(8), config).joinArtifact("all");
  script.openPeer(1, []).tell({ ...ask, link: 1 });
  script.tell({ type: "permissionChanged", link: 1, artifact: 1, allowed: false });
  // It comes to where the first was.
  script.openPeer(2, [4, 5, 6, 7]);
  script.openPeer(3, []).tell({ ...ask, link: 3 });
  expect(script.take("upload").map(({ link }) => link)).toEqual([1]);
  script.tell({ type: "uploadEnded", link: 1, request: 1, outcome: "stopped" });
  expect(script.take("upload").map(({ link }) => link)).toEqual([3]);
});

test("no more than its budget leaves the zone, and what waited goes when there is more", () => {
  const config = { farBytesPerMs: (256 * kibibyte) / 1000, farBurstBytes: 1, uploadsToEmpty: 3 };
  const script = new Script(smallPieces(8), config).joinArtifact("all");
  for (const link of [1, 2]) script.openPeer(link, [], { zone: "b" }).tell({ ...ask, link });
  script.openPeer(3, [], { zone: "a" }).tell({ ...ask, link: 3 });
  expect(script.take("upload").map(({ link }) => link)).toEqual([1, 3]);
  expect(script.wait(900).take("upload")).toHaveLength(0);
  expect(
    script
      .wait(200)
      .take("upload")
      .map(({ link }) => link),
  ).toEqual([2]);
});

test("who asks for what few have is served sooner", () => {
  const config = { uploadSlots: 1, uploadSlotsForNewcomers: 0 };
  const script = new Script(smallPieces(4), config).joinArtifact("all");
  script.openPeer(1, [3]).openPeer(2, [3]).openPeer(3, [1, 3]);
  script.tell({ ...ask, link: 3, firstChunk: 8 });
  script.tell({ ...ask, link: 1, firstChunk: 4 });
  script.now += 10;
  script.tell({ ...ask, link: 2, firstChunk: 0 });
  expect(script.take("upload")).toMatchObject([{ link: 3 }]);
  script.tell({ type: "uploadEnded", link: 3, request: 1, outcome: "sent" });
  expect(script.take("upload")).toMatchObject([{ link: 2, firstChunk: 0 }]);
});

test("few are served at a time, but those that take long hold up nobody", () => {
  const config = { uploadsToEmpty: 8, uploadSlots: 4, uploadSlotsQuick: 2 };
  const given = { ...config, uploadSlotsForNewcomers: 0 };
  const script = new Script(smallPieces(8), given).joinArtifact("all");
  for (let link = 1; link <= 6; link += 1) script.openPeer(link, [7]).tell({ ...ask, link });
  expect(script.take("upload").map(({ link }) => link)).toEqual([1, 2]);
  script.now += 100;
  script.tell({ type: "uploadEnded", link: 1, request: 1, outcome: "sent" });
  expect(script.take("upload").map(({ link }) => link)).toEqual([3]);
  script.now += 301;
  // Both that are left take more than three times as long as the first did.
  script.tell({ type: "havesReceived", link: 6, artifact: 1, pieces: Uint32Array.of(6), count: 1 });
  expect(script.take("upload")).toHaveLength(2);
  script.now += 1000;
  script.tell({ type: "havesReceived", link: 6, artifact: 1, pieces: Uint32Array.of(5), count: 1 });
  expect(script.take("upload")).toHaveLength(0);
});

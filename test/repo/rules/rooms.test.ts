import { expect, test } from "vitest";
import { complaints } from "./bad-example.ts";
import { rooms, roomsImportedBy } from "./rooms.ts";

/** One clean file in each room, so that only what a test adds is found. */
const clean = Object.fromEntries(Object.keys(roomsImportedBy).map((room) => [`${room}/x.ts`, ""]));

test.for([
  ["core/src/a.ts", "@shoal/api/client", "core may not import from lib/api"],
  ["lib/daemon/src/a.ts", "@shoal/store/blobs", "lib/daemon may not import from lib/store"],
  ["seeder/src/a.ts", "@shoal/builder/lease", "seeder may not import from builder"],
  ["cli/src/a.ts", "../../builder/src/lease.ts", "../../builder/src/lease.ts leaves the room cli"],
  ["cli/src/a.ts", "./room", "./room: a path says its .ts"],
  ["cli/src/a.ts", "@shoal/cli/room", "@shoal/cli/room: inside a room, imports are relative"],
  ["cli/src/a.ts", "@shoal/whale/room", "@shoal/whale/room names no room"],
  ["test/e2e/a.ts", "@shoal/cli/main", "@shoal/cli/main: a main.ts is imported by nobody"],
  ["cli/src/a.ts", "./main.ts", "./main.ts: a main.ts is imported by nobody"],
] as const)("refuses that %s imports %s", ([path, specifier, message]) => {
  expect(complaints(rooms, { ...clean, [path]: `import {} from "${specifier}";` })).toEqual([
    `${path}:1 ${message}`,
  ]);
});

test("refuses a dynamic import as well", () => {
  const files = { ...clean, "core/src/a.ts": 'export const a = import("@shoal/api/client");' };
  expect(complaints(rooms, files)).toHaveLength(1);
});

test("lets rooms import what they may", () => {
  const text = 'import {} from "@shoal/core/cid";\nimport {} from "./lease.ts";';
  expect(complaints(rooms, { ...clean, "builder/src/a.ts": text })).toEqual([]);
});

test("refuses a source file outside of every room", () => {
  expect(complaints(rooms, { ...clean, "tools/a.ts": "" })).toEqual([
    "tools/a.ts:1 lies in no known room",
  ]);
});

test("notices a room in which it saw nothing", () => {
  const { "lib/peer/x.ts": _, ...others } = clean;
  expect(complaints(rooms, others)).toEqual(["lib/peer:0 no source file was seen in this room"]);
});

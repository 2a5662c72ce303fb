import { expect, test } from "vitest";
import { judgeServer } from "./incarnation.ts";

const known = { server: "a", systemId: "1", timeline: "00000001" };
const seen = { ...known, server: "b", logBytes: 100 };

test("takes a restart with all that was seen for the same database", () => {
  expect(judgeServer(known, { ...seen, server: "a" }, null)).toBe("same");
  expect(judgeServer(known, seen, { server: "a", logBytes: 100 })).toBe("restarted");
});

test("takes everything that may lack what was answered for a restored one", () => {
  const watermark = { server: "a", logBytes: 100 };
  expect(judgeServer(known, { ...seen, logBytes: 99 }, watermark)).toBe("restored");
  expect(judgeServer(known, { ...seen, timeline: "00000002" }, watermark)).toBe("restored");
  expect(judgeServer(known, { ...seen, systemId: "2" }, watermark)).toBe("restored");
  expect(judgeServer(known, seen, null)).toBe("restored");
  expect(judgeServer(known, seen, { server: "z", logBytes: 1 })).toBe("restored");
});

test("takes an unused database as it is", () => {
  expect(judgeServer({ server: "", systemId: "", timeline: "" }, seen, null)).toBe("first");
});

import { expect, test } from "vitest";
import { giveBackMemory } from "./spare-memory.ts";

test("garbage is gone, and nobody else can collect it", () => {
  const garbage = new WeakRef(new Uint8Array(1024));
  const kept = { bytes: new Uint8Array(1024) };
  return new Promise<void>((resolve) => {
    // What a reference has shown lives until the end of the turn.
    setImmediate(() => {
      giveBackMemory();
      expect(garbage.deref()).toBeUndefined();
      expect(kept.bytes.length).toBe(1024);
      expect("gc" in globalThis).toBe(false);
      resolve();
    });
  });
});

import { ShoalError } from "@shoal/core/error";
import { createLog } from "@shoal/daemon/log";
import fc from "fast-check";
import { expect, test } from "vitest";
import { LogStream } from "./log-stream.ts";
import { SecretMask } from "./secrets/mask.ts";

const log = createLog("test", "silent");
const limits = { bufferBytesMax: 64, bytesMax: 1000, appendBytesMax: 16, flushMs: 1 };
const mask = new SecretMask();
const never = new AbortController().signal;
const text = (value: string): Uint8Array => new TextEncoder().encode(value);

/** A control plane's log: appends at its end only, ignores what it has, refuses gaps. */
class StoredLog {
  bytes: Buffer = Buffer.alloc(0);
  largest = 0;
  failures = 0;
  /** Answers to give before it works: lost before storing, or lost after. */
  faults: ("before" | "after")[] = [];

  readonly send = async (offset: number, bytes: Uint8Array): Promise<void> => {
    this.largest = Math.max(this.largest, bytes.length);
    const fault = this.faults.shift();
    if (fault === "before") throw unreachable();
    if (offset > this.bytes.length) throw new ShoalError("log_gap", "gap", { blame: "remote" });
    this.bytes = Buffer.concat([this.bytes, bytes.subarray(this.bytes.length - offset)]);
    if (fault === "after") throw unreachable();
  };
}

function unreachable(): ShoalError {
  return new ShoalError("control_plane_unreachable", "no", {
    blame: "environment",
    retryable: true,
  });
}

test("keeps every byte in order, in bounded batches", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.string({ maxLength: 40 }), { maxLength: 12 }), async (parts) => {
      const stored = new StoredLog();
      const stream = new LogStream({ send: stored.send, mask, log }, never, limits);
      for (const part of parts) await stream.append(text(part));
      await stream.close();
      expect(stored.bytes.toString("utf8")).toBe(parts.join(""));
      expect(stored.largest).toBeLessThanOrEqual(limits.appendBytesMax);
    }),
    { numRuns: 50 },
  );
});

test("sends a batch again when its answer was lost, and nothing twice", async () => {
  const stored = new StoredLog();
  stored.faults = ["after", "before"];
  const stream = new LogStream({ send: stored.send, mask, log }, never, limits);
  await stream.append(text("abc"));
  await stream.close();
  expect(stored.bytes.toString("utf8")).toBe("abc");
});

test("makes the writer wait while the control plane doesn't answer", async () => {
  const gate = Promise.withResolvers<void>();
  const stored = new StoredLog();
  const send = async (offset: number, bytes: Uint8Array): Promise<void> => {
    await gate.promise;
    await stored.send(offset, bytes);
  };
  const stream = new LogStream({ send, mask, log }, never, limits);
  let taken = 0;
  const writing = (async () => {
    for (; taken < 20; taken += 1) await stream.append(text("x".repeat(20)));
  })();
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect(taken).toBeLessThan(5);
  gate.resolve();
  await writing;
  await stream.close();
  expect(stored.bytes).toHaveLength(400);
});

test("drops what is beyond the limit, and says how much", async () => {
  const stored = new StoredLog();
  const stream = new LogStream({ send: stored.send, mask, log }, never, limits);
  for (let n = 0; n < 30; n += 1) await stream.append(text("x".repeat(50)));
  await stream.close();
  await stream.close();
  const lines = stored.bytes.toString("utf8").split("\n");
  expect(lines[0]).toHaveLength(1000);
  expect(lines[1]).toContain("500 bytes more were dropped");
});

test("lets the build go on when the control plane refuses the log for good", async () => {
  const refused = new ShoalError("fence_stale", "no", { blame: "remote" });
  const stream = new LogStream({ send: () => Promise.reject(refused), mask, log }, never, limits);
  let taken = 0;
  for (; taken < 30; taken += 1) await stream.append(text("x".repeat(50)));
  await stream.close();
  expect(taken).toBe(30);
});

test("ends at once when it is aborted, also while somebody waits for room", async () => {
  const controller = new AbortController();
  const send = (): Promise<void> => Promise.reject(unreachable());
  const stream = new LogStream({ send, mask, log }, controller.signal, limits);
  const writing = stream.append(text("x".repeat(200)));
  controller.abort();
  const ended = Promise.all([writing, stream.close()]);
  expect(await ended).toHaveLength(2);
});

/** A log in which `hunter2-hunter2` is secret. */
function maskingToken(): { readonly stored: StoredLog; readonly stream: LogStream } {
  const stored = new StoredLog();
  const known = new SecretMask();
  known.set("token", "hunter2-hunter2");
  const stream = new LogStream({ send: stored.send, mask: known, log }, never, limits);
  return { stored, stream };
}

test("masks secrets in the build's bytes and in notes, which don't part them", async () => {
  const { stored, stream } = maskingToken();
  await stream.append(text("begin hunter2-"));
  await stream.note("refused hunter2-hunter2");
  await stream.append(text("hunter2 end\nhunter"));
  await stream.close();
  expect(stored.bytes.toString("utf8")).toBe("begin [shoal] refused ***\n*** end\nhunter");
});

test("what may begin a secret at the end of a command isn't put behind later notes", async () => {
  const { stored, stream } = maskingToken();
  await stream.append(text("end h"));
  await stream.endOfCommand();
  await stream.note("published");
  await stream.append(text("hunter2-hunter2"));
  await stream.close();
  expect(stored.bytes.toString("utf8")).toBe("end h[shoal] published\n***");
});

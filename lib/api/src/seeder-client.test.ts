// What a caller is protected from: answers beyond their limits, and ones that aren't as promised. How
// client and seeder understand each other is tested where the seeder is.
import { encodeChunkFrame } from "@shoal/core/content/chunk-frames";
import { chunkBatchBytesMax, chunkBytesMax } from "@shoal/core/limits";
import { expect, test } from "vitest";
import { createSeederClient, type SeederClient } from "./seeder-client.ts";

const cid = `b${"a".repeat(58)}`;

function answering(answer: () => Response | Promise<Response>): {
  client: SeederClient;
  seen: { url: string; init: RequestInit }[];
} {
  const seen: { url: string; init: RequestInit }[] = [];
  const client = createSeederClient({
    url: "https://seeder.example/",
    fetch: async (url, init) => {
      seen.push({ url, init });
      return answer();
    },
    token: () => `token-${seen.length}`,
  });
  return { client, seen };
}

test("the token is asked for at each call, since it is renewed", async () => {
  const { client, seen } = answering(() => new Response(null, { status: 304 }));
  expect(await client.hostGoals({ waitMs: 5 })).toBeNull();
  expect(await client.hostGoals({ known: "v1", waitMs: 5 })).toBeNull();
  expect(seen.map(({ url }) => url)).toEqual([
    "https://seeder.example/v1/host/goals?waitMs=5",
    "https://seeder.example/v1/host/goals?known=v1&waitMs=5",
  ]);
  expect(seen.map(({ init }) => new Headers(init.headers).get("authorization"))).toEqual([
    "Bearer token-0",
    "Bearer token-1",
  ]);
});

test("an answer beyond its limit is refused before it is read to its end", async () => {
  let sent = 0;
  const endless = (): Response =>
    new Response(
      new ReadableStream({
        pull: (controller) => {
          sent += 1;
          controller.enqueue(new Uint8Array(1_000_000));
        },
      }),
    );
  const { client } = answering(endless);
  await expect(client.missing(new Uint8Array(32))).rejects.toMatchObject({
    code: "answer_too_large",
  });
  expect(sent).toBeLessThan(5);
  await expect(client.getStatement(cid)).rejects.toMatchObject({ code: "answer_too_large" });
});

test("chunks beyond what a batch may have are refused", async () => {
  const frame = encodeChunkFrame(new Uint8Array(32), new Uint8Array(chunkBytesMax));
  const { client } = answering(
    () => new Response(new ReadableStream({ pull: (controller) => controller.enqueue(frame) })),
  );
  let received = 0;
  const take = async (): Promise<void> => {
    for await (const { bytes } of client.getChunks(cid, new Uint8Array(32)))
      received += bytes.length;
  };
  await expect(take()).rejects.toMatchObject({ code: "answer_too_large" });
  expect(received).toBeLessThanOrEqual(chunkBatchBytesMax);
});

test.for([
  ["an unknown key", '{"stored":1,"more":2}'],
  ["a wrong type", '{"stored":"1"}'],
  ["no JSON", "<html>"],
])("%s in an answer is refused", async ([, body]) => {
  const { client } = answering(() => new Response(body));
  await expect(client.putChunks([])).rejects.toMatchObject({ code: "answer_invalid" });
});

test("a seeder that can't be reached is named, and may be tried again", async () => {
  const { client } = answering(() => Promise.reject(new TypeError("fetch failed")));
  await expect(client.getManifest(cid)).rejects.toMatchObject({
    code: "seeder_unreachable",
    retryable: true,
    message: expect.stringContaining("seeder.example"),
  });
});

test("a body that breaks off is a seeder that can't be reached", async () => {
  const { client } = answering(
    () => new Response(new ReadableStream({ pull: (c) => c.error(new Error("reset")) })),
  );
  await expect(client.getStatement(cid)).rejects.toMatchObject({ code: "seeder_unreachable" });
});

test("who ends a call gets the reason that was given", async () => {
  const { client } = answering(() => Promise.reject(new Error("aborted")));
  const signal = AbortSignal.abort(new Error("enough"));
  await expect(client.hosts({ limit: 1 }, { signal })).rejects.toThrow("aborted");
});

import { mebibyte } from "@shoal/core/units";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { artifactOf, Fleet, join, type Member, seed } from "./fleet.test-kit.ts";

const timeoutMs = 60_000;

describe("a node with a budget", { timeout: timeoutMs }, () => {
  let fleet: Fleet;
  beforeEach(() => {
    fleet = new Fleet();
  });
  afterEach(() => fleet.close());

  /** Seconds that one fetch of about 8 MiB takes. */
  async function fetchSeconds(seeder: Member, host: Member, number: number): Promise<number> {
    const artifact = artifactOf(32, number);
    seed(seeder, artifact);
    const startMs = performance.now();
    const { membership } = join(host, artifact);
    membership.addPeers([seeder.candidate]);
    await membership.done;
    return (performance.now() - startMs) / 1000;
  }

  const rate = 4 * mebibyte;
  // Not the whole artifact has to wait: a bucket and what was sent ahead are free.
  const leastSeconds = 1.4;

  test.for([
    ["upload", "a bulk socket", { uploadBytesPerSecond: rate }, {}, true],
    ["download", "a bulk socket", {}, { downloadBytesPerSecond: rate }, true],
    ["upload", "a stream", { uploadBytesPerSecond: rate }, {}, false],
    ["download", "a stream", {}, { downloadBytesPerSecond: rate }, false],
  ] as const)("for %s keeps to it over %s", async ([, , up, down, isBulk]) => {
    const listen = isBulk ? ["/ip4/127.0.0.1/tcp/0"] : [];
    const bulk = { listen, isEncrypted: true };
    const seeder = await fleet.member({ seeder: true, config: { bulk, budgets: up } });
    const host = await fleet.member({ config: { bulk, budgets: down } });
    expect(await fetchSeconds(seeder, host, 1)).toBeGreaterThan(leastSeconds);
  });

  test("can be told of another one while it moves bytes", async () => {
    const seeder = await fleet.member({
      seeder: true,
      config: { budgets: { uploadBytesPerSecond: mebibyte / 16 } },
    });
    const host = await fleet.member();
    // At the first rate this would take two minutes.
    const fetched = fetchSeconds(seeder, host, 1);
    await new Promise((resolve) => {
      setTimeout(resolve, 300);
    });
    seeder.node.setBudgets({ uploadBytesPerSecond: 100 * mebibyte });
    expect(await fetched).toBeLessThan(30);
    expect(seeder.node.traffic().sentBytes).toBeGreaterThan(4 * mebibyte);
  });
});

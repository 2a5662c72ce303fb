// A peer that is shut out in the middle of a transfer and doesn't care: its link and its bulk socket are cut
// by the other side, it gets no further byte, and it doesn't come back. Others are served all the while.
import { permissionsMs } from "@shoal/core/limits";
import type { SwarmLogEvent } from "@shoal/core/swarm/log-events";
import { kibibyte, mebibyte } from "@shoal/core/units";
import { expect, test } from "vitest";
import {
  artifactOf,
  Fleet,
  join,
  type Joined,
  type Member,
  seed,
  until,
} from "./fleet.test-kit.ts";

/** A revocation travels with the goals, which are polled for, before it gets here. */
const cutMsMax = permissionsMs + 10_000;

async function fetching(seeder: Member, member: Member): Promise<Joined> {
  const joined = join(member, artifact);
  joined.membership.done.catch(() => undefined);
  joined.membership.addPeers([seeder.candidate]);
  await until(
    () => joined.storage.writes > 0,
    () => "nothing arrives",
  );
  return joined;
}

const artifact = artifactOf(256, 7, 64 * kibibyte);

test.concurrent.for([
  ["a bulk socket with TLS", { isEncrypted: true }],
  ["a bulk socket without", { isEncrypted: false }],
  ["its link alone", { listen: [] }],
] as const)(
  "a revoked peer that fetches over %s is cut off, and doesn't come back",
  { timeout: 60_000 },
  async ([, parts], { onTestFinished }) => {
    const fleet = new Fleet();
    onTestFinished(() => fleet.close());
    const events: SwarmLogEvent[] = [];
    const bulk = { listen: ["/ip4/127.0.0.1/tcp/0"], isEncrypted: true, ...parts };
    const seeder = await fleet.member({
      seeder: true,
      config: { bulk, budgets: { uploadBytesPerSecond: mebibyte / 2 } },
      deps: { onEvent: (event) => events.push(event) },
    });
    seed(seeder, artifact);
    // It has heard of nothing, or pretends to.
    const deps = { isRevoked: () => false };
    const out = await fleet.member({ config: { bulk }, deps });
    const other = await fleet.member({ config: { bulk } });
    const [cut, served] = await Promise.all([fetching(seeder, out), fetching(seeder, other)]);
    fleet.revoked.add(out.node.peerId);
    const isCut = (): boolean =>
      events.some((event) => event.type === "linkClosed" && event.peer === out.node.peerId);
    await until(isCut, () => "the link is still open", cutMsMax);
    // It calls again, and others are served.
    cut.membership.addPeers([seeder.candidate]);
    const more = async (count: number): Promise<void> => {
      const before = served.storage.writes;
      const isServed = (): boolean => served.storage.writes >= before + count;
      await until(isServed, () => "the other one isn't served any more", cutMsMax);
    };
    // What was on its way arrives, which is at most a frame and what both sides have read, and then
    // nothing while others are served.
    let writes = 0;
    for (let looks = 0; looks < 6 && cut.storage.writes !== writes; looks += 1) {
      ({ writes } = cut.storage);
      await more(4);
    }
    expect(cut.storage.writes).toBe(writes);
    const opened = events.filter(
      (event) => event.type === "linkOpened" && event.peer === out.node.peerId,
    );
    expect(opened.length).toBe(1);
    expect(cut.membership.progress().chunksHeld).toBeLessThan(artifact.chunks.length);
  },
);

import { ShoalError } from "@shoal/core/error";
import { callProofMs, passportMs, passportRenewMs } from "@shoal/core/limits";
import { minuteMs } from "@shoal/core/units";
import { beforeEach, expect, test } from "vitest";
import { createKey } from "./key-file.ts";
import { MemberKeeper } from "./member-keeper.ts";
import { codeOf } from "./signers.test-kit.ts";

const key = createKey();
const { signal } = new AbortController();
const quiet = { info: () => undefined, warn: () => undefined };
let nowMs: number;
let kept: string | undefined;
let joins: number;
let renewals: number;
/** What the control plane says instead of an answer. */
let refusal: string | null;
beforeEach(() => {
  nowMs = 1_000_000;
  kept = undefined;
  joins = 0;
  renewals = 0;
  refusal = null;
});

function answer(what: string): { passport: string; region: string; expiresAtMs: number } {
  if (refusal !== null) throw new ShoalError(refusal, "no", { blame: "remote" });
  return { passport: what, region: "north", expiresAtMs: nowMs + passportMs };
}

async function open(joinToken?: string): Promise<MemberKeeper> {
  const client = {
    join: async () => {
      joins += 1;
      return answer(`joined ${joins}`);
    },
    renew: async () => {
      renewals += 1;
      return answer(`renewed ${renewals}`);
    },
  };
  const keeper = new MemberKeeper(
    {
      key,
      client: () => client,
      file: {
        read: async () => (kept === undefined ? undefined : new TextEncoder().encode(kept)),
        write: async (content) => {
          kept = content;
        },
      },
      now: () => nowMs,
      random: () => 0.5,
      log: quiet,
    },
    { role: "builder", name: "builder-1", joinToken },
  );
  await keeper.load();
  return keeper;
}

test("joins once, and needs no token after a restart", async () => {
  const first = await open("secret");
  expect(await codeOf(() => first.callProof())).toBe("passport_missing");
  await first.ensure(signal);
  await first.ensure(signal);
  expect([joins, first.passport(), first.region()]).toEqual([1, "joined 1", "north"]);
  const second = await open();
  await second.ensure(signal);
  expect([joins, second.passport()]).toEqual([1, "joined 1"]);
});

test("renews long before the end, and lives on when that fails", async () => {
  const keeper = await open("secret");
  await keeper.ensure(signal);
  nowMs += passportMs - passportRenewMs + minuteMs;
  refusal = "database_unavailable";
  await keeper.ensure(signal);
  expect([joins, renewals, keeper.passport()]).toEqual([1, 1, "joined 1"]);
  refusal = null;
  nowMs += passportRenewMs / 2;
  await keeper.ensure(signal);
  expect([joins, keeper.passport()]).toEqual([1, "renewed 2"]);
});

test("joins again when it has expired, and says that it can't without a token", async () => {
  const keeper = await open("secret");
  await keeper.ensure(signal);
  nowMs += passportMs + 1;
  await keeper.ensure(signal);
  expect(keeper.passport()).toBe("joined 2");
  nowMs += passportMs + 1;
  const without = await open();
  expect(await codeOf(() => without.ensure(signal))).toBe("join_token_missing");
});

test("joins again when nobody believes the passport any more", async () => {
  const keeper = await open("secret");
  await keeper.ensure(signal);
  const unknown = new ShoalError("signature_key_unknown", "no", { blame: "remote" });
  const proof = keeper.callProof();
  // Two calls that were under way with the same proof.
  await Promise.all([keeper.rejoin(unknown, proof, signal), keeper.rejoin(unknown, proof, signal)]);
  expect(keeper.passport()).toBe("joined 2");
  await keeper.rejoin(unknown, proof, signal);
  expect(keeper.passport()).toBe("joined 2");
  const revoked = new ShoalError("passport_revoked", "no", { blame: "remote" });
  expect(await codeOf(() => keeper.rejoin(revoked, keeper.callProof(), signal))).toBe(
    "passport_revoked",
  );
  expect(joins).toBe(2);
});

test("who waits for a join that its caller gave up asks again", async () => {
  const keeper = await open("secret");
  const stop = new AbortController();
  refusal = "control_plane_unreachable";
  const given = keeper.ensure(stop.signal);
  const other = keeper.ensure(signal);
  refusal = null;
  await expect(given).rejects.toMatchObject({ code: "control_plane_unreachable" });
  await other;
  expect(keeper.passport()).toBe("joined 2");
});

test("renews at once when told that there is newer trust, and until that is done", async () => {
  const keeper = await open("secret");
  await keeper.ensure(signal);
  keeper.renewSoon();
  refusal = "control_plane_unreachable";
  await keeper.ensure(signal);
  refusal = null;
  await keeper.ensure(signal);
  expect([joins, renewals, keeper.passport()]).toEqual([1, 2, "renewed 2"]);
});

test("a proof is used for half of its time, and never with an older passport", async () => {
  const keeper = await open("secret");
  await keeper.ensure(signal);
  const first = keeper.callProof();
  nowMs += callProofMs / 2 - 1;
  expect(keeper.callProof()).toBe(first);
  nowMs += 1;
  const second = keeper.callProof();
  expect(second).not.toBe(first);
  keeper.renewSoon();
  await keeper.ensure(signal);
  expect(keeper.callProof()).not.toBe(second);
});

test("a file that can't be read is as good as none", async () => {
  kept = "{";
  const keeper = await open("secret");
  await keeper.ensure(signal);
  expect(keeper.passport()).toBe("joined 1");
});

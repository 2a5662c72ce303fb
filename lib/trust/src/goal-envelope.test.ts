import { cidOf } from "@shoal/core/cid";
import type { Goal } from "@shoal/core/rollout/goal";
import type { Release } from "@shoal/core/rollout/release";
import { releaseId } from "@shoal/core/rollout/release-id";
import { signEnvelope } from "@shoal/core/trust/dsse";
import { describe, expect, test } from "vitest";
import { goalType, signGoal, verifyGoal } from "./goal-envelope.ts";
import { encodePayload } from "./payload.ts";
import { codeOf, createSigners, nowMs, trustOf } from "./signers.test-kit.ts";

const signers = createSigners();
const { builder, expired, goals, stranger } = signers;
const trust = trustOf(signers);
const content: Omit<Release, "id"> = {
  artifact: cidOf(Uint8Array.of(1)),
  project: "web",
  commit: "0123456789012345678901234567890123456789",
  run: {
    command: ["bin/web"],
    environment: { A: "1" },
    port: "auto",
    health: {
      type: "none",
      intervalMs: 1000,
      timeoutMs: 2000,
      startupMs: 3000,
      healthyAfterCount: 2,
      unhealthyAfterCount: 3,
    },
    stopTimeoutMs: 10_000,
    memoryBytesMax: null,
  },
};
const release: Release = { id: releaseId(content), ...content };
const goal: Goal = {
  format: "shoal.goal/v1",
  environment: "production",
  region: "north",
  service: "web",
  epoch: 1,
  generation: 5,
  rollout: 3,
  prepare: [release],
  run: release,
  fallback: null,
  switch: { type: "share", share: 0.1, hosts: [] },
  salt: "3",
  selector: { role: "web" },
  issuedAt: "2026-06-01T00:00:00Z",
};

function signedAnyway(change: object) {
  return signEnvelope(goalType, encodePayload({ ...goal, ...change }), [goals]);
}

describe("goal envelope", () => {
  test("of the environment's key gives the goal as it was signed", () => {
    expect(verifyGoal(signGoal(goals, goal), trust, { nowMs })).toEqual(goal);
  });

  const good = signGoal(goals, goal);
  const impostor = { ...release, run: { ...release.run, command: ["bin/other"] } };
  const refusals = [
    ["by a key that nobody lists", "signature_key_unknown", signGoal(stranger, goal)],
    ["by a builder's key", "key_not_allowed", signGoal(builder, goal)],
    [
      "for an environment that isn't the key's",
      "key_not_allowed",
      signGoal(goals, { ...goal, environment: "staging" }),
    ],
    ["by a key that has expired", "key_expired", signGoal(expired, goal)],
    [
      "with another goal's payload",
      "signature_invalid",
      { ...good, payload: signGoal(goals, { ...goal, generation: 6 }).payload },
    ],
    [
      "in an envelope of another type",
      "envelope_invalid",
      signEnvelope("text/plain", encodePayload(goal), [goals]),
    ],
    [
      "with a release under another's id",
      "goal_invalid",
      signGoal(goals, { ...goal, run: impostor }),
    ],
    [
      "with such a release to prepare",
      "goal_invalid",
      signGoal(goals, { ...goal, prepare: [impostor] }),
    ],
    [
      "with such a release to fall back to",
      "goal_invalid",
      signGoal(goals, { ...goal, fallback: impostor }),
    ],
    ["with an unknown key", "goal_invalid", signedAnyway({ more: 1 })],
    ["of another format", "goal_invalid", signedAnyway({ format: "shoal.goal/v2" })],
    ["with a negative generation", "goal_invalid", signedAnyway({ generation: -1 })],
    [
      "with a share above all",
      "goal_invalid",
      signedAnyway({ switch: { type: "share", share: 1.1, hosts: [] } }),
    ],
    ["with a name that leaves its folder", "goal_invalid", signedAnyway({ service: "../web" })],
  ] as const;
  test.for(refusals)("%s is refused with %s", async ([, code, envelope]) => {
    expect(await codeOf(() => verifyGoal(envelope, trust, { nowMs }))).toBe(code);
  });
});

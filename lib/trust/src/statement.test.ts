import { cidOf } from "@shoal/core/cid";
import { signEnvelope } from "@shoal/core/trust/dsse";
import { describe, expect, test } from "vitest";
import { encodePayload } from "./payload.ts";
import { codeOf, createSigners, nowMs, trustOf } from "./signers.test-kit.ts";
import { type StatementFacts, signStatement, statementType, verifyStatement } from "./statement.ts";

const signers = createSigners();
const { builder, expired, goals, idle, stranger } = signers;
const trust = trustOf(signers);
const artifact = cidOf(Uint8Array.of(1));
const facts: StatementFacts = {
  project: "web",
  commit: "0123456789012345678901234567890123456789",
  artifact,
  remoteUrl: "https://bot:hunter2@git.example/web.git",
  buildCommand: "make",
  artifactPath: "out",
  builder: "builder-1",
  build: 7,
  attempt: 2,
  startedAtMs: nowMs - 1000,
  finishedAtMs: nowMs,
};
const expected = { nowMs, project: "web", artifact };

function documentOf(envelope: { readonly payload: string }): Record<string, unknown> {
  const bytes = Uint8Array.fromBase64(envelope.payload);
  return JSON.parse(new TextDecoder().decode(bytes)) as Record<string, unknown>;
}

function signedAnyway(change: object) {
  const document = { ...documentOf(signStatement(builder, facts)), ...change };
  return signEnvelope(statementType, encodePayload(document), [builder]);
}

describe("statement", () => {
  test("of a trusted builder proves project, commit, artifact and builder", () => {
    expect(verifyStatement(signStatement(builder, facts), trust, expected)).toEqual({
      project: "web",
      commit: facts.commit,
      artifact,
      builder: "builder-1",
    });
  });

  test("is an in-toto statement with SLSA provenance, and tells no credentials", () => {
    const document = documentOf(signStatement(builder, facts));
    expect(document).toMatchObject({
      _type: "https://in-toto.io/Statement/v1",
      predicateType: "https://slsa.dev/provenance/v1",
      predicate: {
        buildDefinition: {
          externalParameters: { remoteUrl: "https://git.example/web.git" },
          resolvedDependencies: [{ digest: { gitCommit: facts.commit } }],
        },
        runDetails: { metadata: { invocationId: "7/2", finishedOn: "2026-06-01T00:00:00.000Z" } },
      },
    });
    expect(JSON.stringify(document)).not.toContain("hunter2");
  });

  test("with fields that the standards may add later is accepted", () => {
    const envelope = signedAnyway({ annotations: { a: 1 } });
    expect(verifyStatement(envelope, trust, expected).project).toBe("web");
  });

  test("with an expired and a good signature is accepted: that is how keys are rotated", () => {
    const envelope = signStatement([expired, builder], facts);
    expect(verifyStatement(envelope, trust, expected).project).toBe("web");
  });

  const good = signStatement(builder, facts);
  const other = cidOf(Uint8Array.of(2));
  const refusals = [
    ["by a key that nobody lists", "signature_key_unknown", signStatement(stranger, facts), {}],
    ["by a key that may sign other things", "key_not_allowed", signStatement(goals, facts), {}],
    ["by a key that may sign nothing", "key_not_allowed", signStatement(idle, facts), {}],
    [
      "by a builder of another project",
      "key_not_allowed",
      signStatement(builder, { ...facts, project: "api" }),
      { project: "api" },
    ],
    ["by a key that has expired", "key_expired", signStatement(expired, facts), {}],
    [
      "under a trust document that has expired",
      "trust_document_expired",
      good,
      { nowMs: Date.parse(trust.expires) },
    ],
    ["about another project", "statement_project_wrong", good, { project: "api" }],
    ["about another artifact", "statement_subject_wrong", good, { artifact: other }],
    [
      "with another's payload",
      "signature_invalid",
      { ...good, payload: signStatement(builder, { ...facts, artifact: other }).payload },
      { artifact: other },
    ],
    [
      "in an envelope of another type",
      "envelope_invalid",
      signEnvelope("text/plain", encodePayload(documentOf(good)), [builder]),
      {},
    ],
    [
      "that isn't JSON",
      "statement_invalid",
      signEnvelope(statementType, Uint8Array.of(1), [builder]),
      {},
    ],
    [
      "of another predicate",
      "statement_invalid",
      signedAnyway({ predicateType: "https://slsa.dev/provenance/v0.2" }),
      {},
    ],
    [
      "of another statement version",
      "statement_invalid",
      signedAnyway({ _type: "https://in-toto.io/Statement/v0.1" }),
      {},
    ],
    [
      "with two subjects",
      "statement_invalid",
      signedAnyway({
        subject: [{ digest: { blake3: "0".repeat(64) } }, { digest: { blake3: "1".repeat(64) } }],
      }),
      {},
    ],
    [
      "with a subject by another hash",
      "statement_invalid",
      signedAnyway({ subject: [{ digest: { sha256: "0".repeat(64) } }] }),
      {},
    ],
    ["without a build definition", "statement_invalid", signedAnyway({ predicate: {} }), {}],
  ] as const;
  test.for(refusals)("%s is refused with %s", async ([, code, envelope, change]) => {
    const call = () => verifyStatement(envelope, trust, { ...expected, ...change });
    expect(await codeOf(call)).toBe(code);
  });
});

// A builder's word that a commit of a project became an artifact (PROTOCOL.md 3.3): an in-toto
// Statement v1 with SLSA provenance v1, https://slsa.dev/spec/v1.0/provenance. Fields that the
// standards add are ignored, as they ask for; what we rely on is checked strictly.
import { commit as commitSchema, name } from "@shoal/api/names";
import { decodeCid } from "@shoal/core/cid";
import { toHex } from "@shoal/core/digest";
import { remoteError } from "@shoal/core/error";
import type { ArtifactCid } from "@shoal/core/ids";
import { type Envelope, signEnvelope } from "@shoal/core/trust/dsse";
import type { SigningKey } from "@shoal/core/trust/keys";
import { z } from "zod";
import { decodePayload, encodePayload } from "./payload.ts";
import type { TrustDocument } from "./trust-document.ts";
import { openByTrustedKey, requireAllowed } from "./trusted-keys.ts";

export const statementType = "application/vnd.in-toto+json";
const inTotoType = "https://in-toto.io/Statement/v1";
const predicateType = "https://slsa.dev/provenance/v1";
const buildType = "urn:shoal:build:v1";

/** What a builder knows about a build that it did. Times are milliseconds since 1970. */
export interface StatementFacts {
  readonly project: string;
  /** Full commit id. */
  readonly commit: string;
  readonly artifact: ArtifactCid;
  /** Credentials in it are left out of the statement. */
  readonly remoteUrl: string;
  readonly buildCommand: string;
  readonly artifactPath: string;
  readonly builder: string;
  readonly build: number;
  readonly attempt: number;
  readonly startedAtMs: number;
  readonly finishedAtMs: number;
}

/** What a verified statement proves. */
export interface VerifiedStatement {
  readonly project: string;
  readonly commit: string;
  readonly artifact: ArtifactCid;
  readonly builder: string;
}

const statement = z.object({
  _type: z.literal(inTotoType),
  subject: z
    .array(z.object({ digest: z.object({ blake3: z.string().regex(/^[0-9a-f]{64}$/) }) }))
    .length(1),
  predicateType: z.literal(predicateType),
  predicate: z.object({
    buildDefinition: z.object({
      buildType: z.literal(buildType),
      externalParameters: z.object({ project: name, commit: commitSchema }),
    }),
    runDetails: z.object({ builder: z.object({ id: z.string().max(256) }) }),
  }),
});

/** Signs with the builder's key, or with several while keys overlap. */
export function signStatement(
  key: SigningKey | readonly SigningKey[],
  facts: StatementFacts,
): Envelope {
  const { project, commit, remoteUrl, buildCommand, artifactPath } = facts;
  const uri = withoutCredentials(remoteUrl);
  const document = {
    _type: inTotoType,
    subject: [{ name: project, digest: { blake3: toHex(decodeCid(facts.artifact)) } }],
    predicateType,
    predicate: {
      buildDefinition: {
        buildType,
        externalParameters: { project, commit, remoteUrl: uri, buildCommand, artifactPath },
        resolvedDependencies: [{ uri: `git+${uri}`, digest: { gitCommit: commit } }],
      },
      runDetails: {
        builder: { id: facts.builder },
        metadata: {
          invocationId: `${facts.build}/${facts.attempt}`,
          startedOn: new Date(facts.startedAtMs).toISOString(),
          finishedOn: new Date(facts.finishedAtMs).toISOString(),
        },
      },
    },
  };
  return signEnvelope(statementType, encodePayload(document), "sign" in key ? [key] : key);
}

/**
 * Verifies that a trusted key says: this artifact was built from this project.
 * @throws ShoalError of `openEnvelope` and `requireAllowed`, `statement_invalid`,
 *   `statement_project_wrong` or `statement_subject_wrong`.
 */
export function verifyStatement(
  envelope: Envelope,
  trust: TrustDocument,
  expected: { readonly nowMs: number; readonly project: string; readonly artifact: ArtifactCid },
): VerifiedStatement {
  const opened = openByTrustedKey(envelope, statementType, trust);
  const { subject, predicate } = decodePayload(opened.payload, statement, "statement_invalid");
  const { project, commit } = predicate.buildDefinition.externalParameters;
  requireAllowed(trust, opened.keys, { use: "statements", project }, expected.nowMs);
  if (project !== expected.project) {
    const message = `the statement is about project ${project}, not ${expected.project}`;
    throw remoteError("statement_project_wrong", message);
  }
  if (subject[0]?.digest.blake3 !== toHex(decodeCid(expected.artifact))) {
    throw remoteError("statement_subject_wrong", "the statement is about another artifact");
  }
  return { project, commit, artifact: expected.artifact, builder: predicate.runDetails.builder.id };
}

/** `https://user:secret@host/x` → `https://host/x`; paths and scp-like addresses have no secret to lose. */
function withoutCredentials(remoteUrl: string): string {
  return remoteUrl.replace(/^([a-z][a-z0-9+.-]*:\/\/)[^/]*@/i, "$1");
}

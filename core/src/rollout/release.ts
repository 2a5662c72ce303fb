// What a service runs: an artifact together with how to run it. Types only; lib/api has the strict
// decoders, `releaseId` in release-id.ts names a release by its content.
import type { ArtifactCid } from "../ids.ts";
import type { Bytes, Millis } from "../units.ts";

interface HealthTiming {
  /** Time between two checks. */
  readonly intervalMs: Millis;
  /** A check that takes longer has failed. */
  readonly timeoutMs: Millis;
  /** From the start of the program until it must have been healthy once. */
  readonly startupMs: Millis;
  /** Consecutive successes that make a program healthy. */
  readonly healthyAfterCount: number;
  /** Consecutive failures that make a healthy program unhealthy. */
  readonly unhealthyAfterCount: number;
}

/** How a host finds out whether the program is well. `none`: it is, while it runs for `startupMs`. */
export type HealthCheck =
  | ({ readonly type: "http"; readonly path: string } & HealthTiming)
  | ({ readonly type: "command"; readonly command: readonly string[] } & HealthTiming)
  | ({ readonly type: "none" } & HealthTiming);

/** A secret that hosts with the private half of `key` can open (lib/trust/src/sealed-secret.ts). */
export interface SealedSecret {
  /** X25519 public key that it was sealed for, base64url. */
  readonly key: string;
  readonly sealed: string;
}

/**
 * Of all of a program's processes together, by a control group; null is no limit. A host that can't hold
 * them doesn't start the program.
 */
export interface ProgramLimits {
  readonly memoryBytesMax: Bytes | null;
  /** 100 is one processor. */
  readonly cpuPercentMax: number | null;
  readonly processesMax: number | null;
}

/** How to run an artifact. Every string array is an argument vector, never a shell line. */
export interface RunSpec {
  /** Program and arguments, run in the release directory; empty for artifacts that only have to be there. */
  readonly command: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  /** The port the program listens on, given to it as PORT; "auto" lets each host choose a free one. */
  readonly port: number | "auto" | null;
  readonly health: HealthCheck;
  /** SIGTERM, and after this time SIGKILL. */
  readonly stopTimeoutMs: Millis;
  /** Address space limit for the program's processes, or null for none. */
  readonly memoryBytesMax: Bytes | null;
  /** Absent: none, as in releases from before there were any. */
  readonly limits?: ProgramLimits | undefined;
  /** Given to the program as files by these names. Absent: none, as in releases from before there were any. */
  readonly secrets?: Readonly<Record<string, SealedSecret>> | undefined;
}

/** An artifact and how to run it, named by the content of both. */
export interface Release {
  /** `rel-` and 32 hexadecimal digits, see `releaseId`. */
  readonly id: string;
  readonly artifact: ArtifactCid;
  /** The project whose builder keys must have signed the statement about the artifact. */
  readonly project: string;
  /** The full commit id that it was built from, for people. */
  readonly commit: string;
  readonly run: RunSpec;
}

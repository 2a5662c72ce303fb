// What a sandbox is: runs one command of a build, hands out its output, and gives back control only
// when no process of it is left.
import type { BuildLimits } from "@shoal/api/control-plane";
import type { LaunchFolders } from "./launch.ts";

export interface SandboxRun {
  /** Unique among the runs of this builder; letters, digits and dashes. */
  readonly id: string;
  /** Holds the folders; its size is the build's disk. */
  readonly workspace: string;
  readonly folders: LaunchFolders;
  /** For `sh -c`, in the source folder. */
  readonly command: string;
  /** Beside PATH, HOME and the like, which the sandbox sets. */
  readonly environment: Readonly<Record<string, string>>;
  readonly limits: BuildLimits;
  /** Folder with the socket of a proxy that is the command's way to the network; null: it has none. */
  readonly proxyFolder: string | null;
  /** Called with the output in order; the build waits while the answer is pending. */
  readonly onOutput: (bytes: Uint8Array) => Promise<void>;
  /** Kills the build. */
  readonly signal: AbortSignal;
}

export type SandboxEnd =
  | { readonly type: "exited"; readonly exitCode: number }
  /** A signal that we didn't send. */
  | { readonly type: "signalled"; readonly signal: string }
  | { readonly type: "outOfMemory" }
  | { readonly type: "outOfDisk"; readonly bytes: number }
  | { readonly type: "late" }
  | { readonly type: "stopped" }
  | { readonly type: "builderDiskFull"; readonly availableBytes: number }
  /** The command was never started; a fault of ours or of the machine. */
  | { readonly type: "notStarted"; readonly message: string };

export interface Sandbox {
  /** `none` isolates nothing: there a way to the network can be offered and not taken away. */
  readonly kind: "bubblewrap" | "none";
  /** For logs and the ready line. */
  readonly describe: string;
  /**
   * Runs a command to its end.
   * @throws ShoalError `processes_left` when its processes can't be ended.
   */
  run(run: SandboxRun): Promise<SandboxEnd>;
}

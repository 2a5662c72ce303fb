// `shoal artifact inspect|diff|verify`: the words. What they do is loaded when one of them runs, because every
// other command would wait for it.
import type { Command } from "commander";
import type { ArtifactOptions } from "./artifact-actions.ts";

export function addArtifactCommands(program: Command): void {
  const artifact = program.command("artifact").description("Look into artifacts");
  const what = "manifest, release folder, or the file or folder itself";
  artifact
    .command("inspect")
    .description("What is in an artifact")
    .argument("<artifact>", what)
    .option("--json", "print the answer as one JSON line")
    .action(async (path: string, options: ArtifactOptions) => {
      const { inspectArtifact } = await import("./artifact-actions.ts");
      await inspectArtifact(path, options);
    });
  artifact
    .command("diff")
    .description("What would move to a host that has the older artifact")
    .argument("<older>", what)
    .argument("<newer>", what)
    .option("--json", "print the answer as one JSON line")
    .action(async (older: string, newer: string, options: ArtifactOptions) => {
      const { diffArtifacts } = await import("./artifact-actions.ts");
      await diffArtifacts(older, newer, options);
    });
  artifact
    .command("verify")
    .description(
      "Check a folder against a manifest, byte by byte; status 1 when something is wrong",
    )
    .argument("<artifact>", "manifest or release folder")
    .argument("[folder]", "what to check; of a release its own tree unless given")
    .option("--json", "print the answer as one JSON line")
    .action(async (path: string, folder: string | undefined, options: ArtifactOptions) => {
      const { verifyArtifact } = await import("./artifact-actions.ts");
      await verifyArtifact(path, folder, options);
    });
}

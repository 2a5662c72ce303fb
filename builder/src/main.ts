// The builder's composition root: puts the parts together and starts the loop.
import { runDaemon } from "@shoal/daemon/daemon";
import { processSources, readConfig } from "@shoal/daemon/config";
import { builderConfig } from "./config.ts";
import { startBuilderProcess } from "./process.ts";

await runDaemon("builder", async (context) =>
  startBuilderProcess(context, readConfig(builderConfig, processSources()), {
    searchPath: process.env["PATH"] ?? "/usr/local/bin:/usr/bin:/bin",
    home: process.env["HOME"] ?? "/",
    nodePath: process.execPath,
    arch: process.arch,
    isRoot: process.getuid?.() === 0,
  }),
);

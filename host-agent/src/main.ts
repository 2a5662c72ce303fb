// The agent's composition root; with `verify` as its first argument, the check of what is on disk.
import { processSources, readConfig } from "@shoal/daemon/config";
import { runDaemon } from "@shoal/daemon/daemon";
import { startAgent } from "./agent.ts";
import { checkedAgentConfig } from "./config.ts";
import { runVerify } from "./verify.ts";

const sources = processSources();
if (sources.argv[0] === "verify") {
  const rest = { ...sources, argv: sources.argv.slice(1) };
  process.exitCode = await runVerify(rest, (line) => process.stdout.write(`${line}\n`));
} else {
  await runDaemon("agent", (context) =>
    startAgent(context, readConfig(checkedAgentConfig, sources), {
      now: Date.now,
      monotonic: () => performance.now(),
      random: Math.random,
      isRoot: process.getuid?.() === 0,
      nodePath: process.execPath,
      onReload: (read) => {
        process.on("SIGHUP", () => read(() => readConfig(checkedAgentConfig, sources)));
      },
    }),
  );
}

// The agent's composition root; with `verify`, `events`, `pause`, `resume` or `pauses` as its first
// argument, a command about what is on disk.
import { processSources, readConfig } from "@shoal/daemon/config";
import { runDaemon } from "@shoal/daemon/daemon";
import { startAgent } from "./agent.ts";
import { checkedAgentConfig } from "./config.ts";
import { runEvents } from "./events.ts";
import { isPauseCommand, runPause } from "./pause.ts";
import { runVerify } from "./verify.ts";

const sources = processSources();
const rest = { ...sources, argv: sources.argv.slice(1) };
const print = (line: string): unknown => process.stdout.write(`${line}\n`);
if (sources.argv[0] === "verify") {
  process.exitCode = await runVerify(rest, print);
} else if (isPauseCommand(sources.argv[0])) {
  process.exitCode = await runPause(sources.argv[0], rest, print);
} else if (sources.argv[0] === "events") {
  const interrupted = new AbortController();
  const stop = (): void => interrupted.abort();
  process.once("SIGINT", stop).once("SIGTERM", stop);
  process.exitCode = await runEvents(rest, print, interrupted.signal);
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

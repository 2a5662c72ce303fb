// The seeder's composition root: opens what it keeps, listens, and starts the loops that follow the
// control plane. Works from disk while the control plane is down.
import { readConfig, processSources } from "@shoal/daemon/config";
import { runDaemon, type DaemonContext } from "@shoal/daemon/daemon";
import { seederConfig, type SeederConfig } from "./config.ts";
import { startSeeder } from "./seeder.ts";

await runDaemon("seeder", async (context: DaemonContext) => {
  const config: SeederConfig = readConfig(seederConfig, processSources());
  const seed = crypto.getRandomValues(new Uint32Array(1))[0] ?? 0;
  return startSeeder({ ...context, now: Date.now, seed }, config);
});

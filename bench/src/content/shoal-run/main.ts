// Our side of the content benchmarks as a process of its own, so that its time and memory are measured
// as the other tool's are. It begins as the `shoal` command does, with compiled modules from the user's cache.
import { enableCompileCache } from "node:module";
import { homedir } from "node:os";
import { join } from "node:path";

enableCompileCache(join(homedir(), ".cache", "shoal"));
const { runActions } = await import("./actions.ts");
await runActions(process.argv.slice(2));

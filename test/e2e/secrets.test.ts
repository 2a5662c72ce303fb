// A secret of a service, from a person's hands to the program, by the commands of OPERATIONS.md, section 9;
// and nowhere else.
import { createHash } from "node:crypto";
import { readFile, readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { minuteMs } from "@shoal/core/units";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Fleet, type Seeder } from "../faults/fleet.ts";
import { allHealthy, build, deploy } from "../faults/person.ts";
import { SampleProject, sampleRun } from "../faults/sample-project.ts";
import { shoal } from "../faults/shoal-command.ts";

const service = "sample";
const first = "correct horse battery staple";
const second = "the second one, which isn't the first";
let fleet: Fleet;
let seeder: Seeder;
let project: SampleProject;

beforeAll(async () => {
  fleet = await Fleet.empty();
  await fleet.startControl();
  await fleet.client.regions.create({ name: "eu", home: true, inService: true });
  seeder = await fleet.addSeeder("eu");
  await fleet.addBuilder("builder-1");
  const size = { parts: 1, partBytes: 1000, changed: 1 };
  project = await SampleProject.create(join(fleet.dir, "repository"), size);
  await project.register(fleet.client, service);
  // Before it serves, the program writes down what it was given, without giving it away.
  const note = 'sha256sum < "$SHOAL_SECRETS/DB_PASSWORD" > "$HOME/secret-sum"; exec sh run.sh';
  const run = { ...sampleRun, command: ["/bin/sh", "-c", note] };
  await fleet.client.services.update("production", service, { run });
}, 4 * minuteMs);
afterAll(() => fleet?.[Symbol.asyncDispose](), minuteMs);

async function run(args: readonly string[], input = ""): Promise<string> {
  const environment = { SHOAL_URL: fleet.url, SHOAL_ADMIN_TOKEN_FILE: fleet.tokenFile };
  const { status, stdout, stderr } = await shoal(args, environment, input);
  expect(status, `shoal ${args.join(" ")}: ${stderr}`).toBe(0);
  return stdout.trim();
}

const folder = (): string => join(fleet.stateDir("host-1"), "services", "production", service);

async function sumOnHost(): Promise<string> {
  return (await readFile(join(folder(), "home", "secret-sum"), "utf8")).split(" ")[0] ?? "";
}

const sumOf = (text: string): string => createHash("sha256").update(text).digest("hex");

/** Files of the whole fleet that hold a text. */
async function filesWith(text: string): Promise<readonly string[]> {
  const entries = await readdir(fleet.dir, { recursive: true, withFileTypes: true });
  const found: string[] = [];
  for (const entry of entries) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    // Sockets of the moment and files that were only there while they were written.
    const bytes = await readFile(path).catch(() => Buffer.alloc(0));
    if (bytes.includes(text)) found.push(path);
  }
  return found;
}

test(
  "a secret comes to the program with a deploy, changes with the next, and is nowhere else",
  { timeout: 3 * minuteMs, retry: 0 },
  async () => {
    const keyFile = join(fleet.dir, "keys", "production.key");
    const publicKey = await run(["secret", "create-key", keyFile]);
    await run(["environment", "update", "production", "--secrets-key", publicKey]);
    await fleet.addHost("host-1", seeder, { secretsKeyFiles: [keyFile] });
    await run(["secret", "set", service, "DB_PASSWORD"], first);
    const built = await build(fleet, service, await project.commit("v1"));
    const before = await deploy(fleet, service, built);
    expect(before).toMatchObject({ state: "SUCCEEDED" });
    await allHealthy(fleet, 1, before.release.id);
    expect(await sumOnHost()).toBe(sumOf(first));

    await run(["secret", "set", service, "DB_PASSWORD"], second);
    const after = await deploy(fleet, service, built);
    expect(after).toMatchObject({ state: "SUCCEEDED" });
    expect(after.release.id).not.toBe(before.release.id);
    await allHealthy(fleet, 1, after.release.id);
    expect(await sumOnHost()).toBe(sumOf(second));

    // The program's own file, and no other: no goal, no log, no database.
    expect(await filesWith(first)).toEqual([]);
    expect(await filesWith(second)).toEqual([join(folder(), "secrets", "DB_PASSWORD")]);
    const { mode } = await stat(join(folder(), "secrets", "DB_PASSWORD"));
    expect(mode & 0o077).toBe(0);
  },
);

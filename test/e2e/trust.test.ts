// Keys are replaced while the fleet runs and deploys; hosts join while the control plane is down; and a
// revoked host is out. Everything as a person does it, with the `shoal` command.
import { createHash } from "node:crypto";
import { copyFile, readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { hourMs, minuteMs } from "@shoal/core/units";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Fleet, type Seeder } from "../faults/fleet.ts";
import { allHealthy, build, deploy } from "../faults/person.ts";
import { SampleProject } from "../faults/sample-project.ts";
import { shoal } from "../faults/shoal-command.ts";
import { waitFor } from "../faults/wait-for.ts";

const service = "sample";
/** Each begins where the one before ended. */
const onlyOnce = { retry: 0 } as const;
let fleet: Fleet;
let seeder: Seeder;
let project: SampleProject;
let versions = 0;
let hostsCount = 0;

const key = (name: string): string => join(fleet.dir, "keys", `${name}.jwk`);
const trustFile = (): string => join(fleet.dir, "keys", "trust.json");
/** What machines that were installed in the beginning have. */
const firstTrustFile = (): string => join(fleet.dir, "first-trust.json");

beforeAll(async () => {
  fleet = await Fleet.empty();
  await copyFile(trustFile(), firstTrustFile());
  for (const name of ["goals", "passports", "grants"])
    await copyFile(key("control-plane"), key(name));
  await fleet.startControl({
    trustFile: firstTrustFile(),
    goalKeyFile: key("goals"),
    passportKeyFile: key("passports"),
    grantKeyFile: key("grants"),
  });
  await fleet.client.regions.create({ name: "eu", home: true, inService: true });
  seeder = await fleet.addSeeder("eu", { trustFile: firstTrustFile() });
  await fleet.addBuilder("builder-1");
  await addHost();
  project = await SampleProject.create(join(fleet.dir, "repository"), {
    parts: 1,
    partBytes: 100_000,
    changed: 1,
  });
  await project.register(fleet.client, service);
}, 4 * minuteMs);
afterAll(() => fleet?.[Symbol.asyncDispose](), minuteMs);

async function addHost(differences: Readonly<Record<string, unknown>> = {}): Promise<string> {
  hostsCount += 1;
  const name = `host-${hostsCount}`;
  await fleet.addHost(name, seeder, { trustFile: firstTrustFile(), ...differences });
  return name;
}

async function run(...args: readonly string[]): Promise<unknown> {
  const environment = { SHOAL_URL: fleet.url, SHOAL_ADMIN_TOKEN_FILE: fleet.tokenFile };
  const { status, stdout, stderr } = await shoal([...args, "--json"], environment);
  if (status !== 0) throw new Error(`shoal ${args.join(" ")}: ${stderr}`);
  return JSON.parse(stdout);
}

const logOf = (name: string): Promise<string> =>
  readFile(join(fleet.dir, `${name}.log`), "utf8").catch(() => "");

async function inLog(name: string, text: string, count = 1): Promise<void> {
  await waitFor(`${text} in the log of ${name}`, minuteMs, async () =>
    (await logOf(name)).split(text).length > count ? true : null,
  );
}

/** A new version comes to every host. */
async function expectDeploy(hosts: number): Promise<void> {
  versions += 1;
  const built = await build(fleet, service, await project.commit(`v${versions}`));
  expect(built).toMatchObject({ state: "SUCCEEDED" });
  const rollout = await deploy(fleet, service, built);
  expect(rollout).toMatchObject({ state: "SUCCEEDED" });
  await allHealthy(fleet, hosts, rollout.release.id);
}

/** Beside the old key, published, and then in its place. */
async function replaceKey(name: string, ...options: readonly string[]): Promise<void> {
  const dir = join(fleet.dir, "keys");
  await run("trust", "rotate", dir, name, "--overlap-hours", "1", ...options);
  await run("trust", "publish", trustFile());
  await rename(key(`${name}.next`), key(name));
}

test(
  "builder key, goal key, passport key and root are replaced, and every deploy arrives",
  { timeout: 4 * minuteMs, ...onlyOnce },
  async () => {
    await expectDeploy(1);
    const { rootPublicKey } = fleet.keys;
    await replaceKey("builder");
    await expectDeploy(1);
    let signsNew = 0;
    for (const [name, use] of [
      ["goals", "goals"],
      ["passports", "passports"],
      ["grants", "grants"],
    ] as const) {
      await replaceKey(name, "--use", use);
      signsNew += 1;
      await inLog("control-plane", "signs with a new key", signsNew);
    }
    await expectDeploy(1);
    // A new root, and with it a document that knows none of the old keys any more.
    await run("trust", "rotate", join(fleet.dir, "keys"), "root");
    await run("trust", "publish", trustFile());
    const document = (await run("trust", "show", join(fleet.dir, "keys"))) as {
      version: number;
      keys: readonly { id: string; notAfter: string }[];
      statements: readonly { key: string }[];
    } & Record<"goals" | "passports" | "grants", readonly { key: string }[]>;
    const old = new Set(
      document.keys
        .filter(({ notAfter }) => Date.parse(notAfter) < Date.now() + 2 * hourMs)
        .map(({ id }) => id),
    );
    expect(old.size).toBe(2);
    const isNew = ({ key: id }: { readonly key: string }): boolean => !old.has(id);
    const rest = {
      ...document,
      roots: undefined,
      keys: document.keys.filter(({ id }) => !old.has(id)),
      statements: document.statements.filter(isNew),
      goals: document.goals.filter(isNew),
      passports: document.passports.filter(isNew),
      grants: document.grants.filter(isNew),
    };
    const changed = join(fleet.dir, "changed.json");
    await writeFile(changed, JSON.stringify(rest));
    await expectDeploy(1);
    await run("trust", "sign", join(fleet.dir, "keys"), changed);
    await run("trust", "publish", trustFile());
    const newest = document.version + 1;
    for (const name of ["seeder-eu", "host-1"]) await inLog(name, `"version":${newest}`);
    // The host's passport is by a key that is gone: it comes back with its token, and goes on.
    await fleet.member("host-1").stop();
    await fleet.member("host-1").start();
    await expectDeploy(1);
    // Who was installed in the beginning, and starts only now, comes over the old root to the new one.
    expect(rootPublicKey).not.toBe(
      (await readFile(join(fleet.dir, "keys", "root-public-key"), "utf8")).trim(),
    );
    await addHost();
    await expectDeploy(2);
  },
);

test(
  "a host joins and runs while the control plane is down, once for each use of its token",
  { timeout: 3 * minuteMs, ...onlyOnce },
  async () => {
    const joinToken = await fleet.joinToken("eu");
    const hash = createHash("sha256").update(joinToken).digest("hex");
    await waitFor("the seeder to know the token", minuteMs / 2, async () =>
      (
        await readFile(join(fleet.stateDir("seeder-eu"), "admissions.json"), "utf8").catch(() => "")
      ).includes(hash)
        ? true
        : null,
    );
    const programs = (await fleet.programs()).length;
    await fleet.member("control-plane").stop();
    const name = await addHost({ joinToken });
    await waitFor("the new host's program", minuteMs, async () =>
      (await fleet.programs()).length > programs ? true : null,
    );
    // A restart needs nobody either.
    await fleet.member(name).stop();
    await fleet.member(name).start();
    const second = await addHost({ joinToken });
    await inLog(second, "join_token_used_up");
    await fleet.member("control-plane").start();
    await expectDeploy(hostsCount - 1);
    await fleet.member(second).stop();
  },
);

test(
  "a revoked host is out within a minute, and the others go on",
  { timeout: 2 * minuteMs, ...onlyOnce },
  async () => {
    const hosts = await fleet.hosts();
    const out = hosts.find(({ host }) => host === "host-1");
    if (out === undefined) throw new Error("there is no host-1");
    await run("revoke", out.peerId);
    await inLog("host-1", "passport_revoked");
    await fleet.member("host-1").stop();
    await fleet.member("host-1").start();
    await inLog("host-1", "passport_revoked", 2);
    const list = (await run("revoke", out.peerId)) as { peerId: string };
    expect(list.peerId).toBe(out.peerId);
  },
);

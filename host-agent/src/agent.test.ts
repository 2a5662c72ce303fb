// Whole agents as processes of their own, with the real swarm: they find each other, survive being
// killed at any moment, and go on from disk when nobody answers.
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { Prng } from "@shoal/core/prng";
import type { Release } from "@shoal/core/rollout/release";
import { createPeerNode } from "@shoal/peer/node";
import { createCertificate } from "@shoal/trust/certificate";
import { createKey } from "@shoal/trust/key-file";
import { issuePassport, swarmRoles, verifyPassport } from "@shoal/trust/passport";
import { expect, onTestFinished, test } from "vitest";
import {
  makeProgram,
  manifestOf,
  startTestSeeder,
  TestRegion,
  type TestArtifact,
  type TestSeeder,
} from "./region.test-kit.ts";
import { commandCheck, goal, release, runSpec } from "./releases.test-kit.ts";
import { eventually, silentLog, testFolder } from "./test-folder.test-kit.ts";

const main = join(import.meta.dirname, "main.ts");
const timeoutMs = 60_000;

interface Agent {
  /** SIGKILL; its program lives on. */
  kill(): Promise<void>;
  /** SIGTERM. Answers what it complained of when it didn't end cleanly. */
  end(): Promise<string>;
}

interface Host {
  readonly id: string;
  readonly dir: string;
  start(): Promise<Agent>;
  /** What its programs have printed. */
  log(): Promise<string>;
}

async function openHost(region: TestRegion, seeder: TestSeeder, id: string): Promise<Host> {
  const dir = await testFolder();
  const trustFile = join(dir, "trust.json");
  await writeFile(trustFile, JSON.stringify(region.signedTrust));
  const configFile = join(dir, "agent.json");
  const config = {
    hostId: id,
    region: "north",
    seeders: [{ url: seeder.url, peerId: seeder.peerId }],
    joinToken: "good-token",
    stateDir: join(dir, "state"),
    trustFile,
    rootPublicKey: region.signers.root.publicKey.toBase64({
      alphabet: "base64url",
      omitPadding: true,
    }),
    // Reachable by every user, also where the tests' Node isn't.
    nodePath: "/bin/sh",
    stopProgramsOnExit: true,
  };
  await writeFile(configFile, JSON.stringify(config));
  await mkdir(config.stateDir);
  const start = (): Promise<Agent> => startAgent(configFile);
  const log = async (): Promise<string> => {
    const path = join(config.stateDir, "services/production/web/log/program.log");
    return readFile(path, "utf8").catch(() => "");
  };
  return { id, dir, start, log };
}

async function startAgent(configFile: string): Promise<Agent> {
  const child = spawn(process.execPath, [main, "--config", configFile], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { SHOAL_LOG_LEVEL: "warn" },
  });
  const exited = once(child, "exit") as Promise<[number | null]>;
  let errors = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    errors = (errors + text).slice(-4000);
  });
  const ready = once(createInterface({ input: child.stdout }), "line");
  await Promise.race([
    ready,
    exited.then(([code]) => {
      throw new Error(`the agent ended with ${code}: ${errors}`);
    }),
  ]);
  const signal = async (name: NodeJS.Signals): Promise<number | null> => {
    child.kill(name);
    const [code] = await exited;
    return code;
  };
  onTestFinished(async () => {
    if (child.exitCode === null && child.signalCode === null) await signal("SIGTERM");
  });
  return {
    kill: async () => {
      await signal("SIGKILL");
    },
    end: async () => {
      const code = await signal("SIGTERM");
      return code === 0 ? "" : `ended with ${code}: ${errors}`;
    },
  };
}

/** A member of the region's swarm that has all of these artifacts. */
async function startSeed(region: TestRegion, artifacts: readonly TestArtifact[]): Promise<void> {
  const key = createKey();
  const facts = {
    peerId: key.peerId,
    host: "seeder-1",
    region: "north",
    zone: "default",
    role: "seeder",
    labels: {},
    environment: null,
  } as const;
  const passport = await issuePassport(region.signers.passports, facts, 3_600_000, region.now());
  const node = await createPeerNode(
    {
      key,
      passport: () => passport,
      verifyPassport: (shown, peerId) =>
        verifyPassport(shown, region.trust, {
          nowMs: region.now(),
          peerId,
          roles: swarmRoles,
          isRevoked: () => false,
        }),
      allows: () => true,
      isRevoked: () => false,
      certificate: await createCertificate(key),
      log: silentLog,
    },
    { listen: ["/ip4/127.0.0.1/tcp/0"], seeder: true },
  );
  onTestFinished(() => node.stop());
  for (const artifact of artifacts) {
    region.add(artifact);
    const { chunks } = artifact;
    const storage = {
      heldChunks: () => new Uint8Array(Math.ceil(chunks.length / 8)).fill(255),
      readRun: async (first: number, count: number, into: Uint8Array) => {
        into.set(Buffer.concat(chunks.slice(first, first + count)));
      },
      writeRun: () => Promise.reject(new Error("a seed has everything")),
    };
    node.join({ cid: artifact.cid, manifest: manifestOf(artifact), storage, priority: 1 });
  }
  const swarmAddresses = [...node.addresses()];
  region.peers = [{ peerId: key.peerId, swarmAddresses, zone: "seeder", seeder: true }];
}

function programOf(
  seed: number,
  word: string,
  healthCommand = "test -r data",
): Release & { readonly made: TestArtifact } {
  const script = `#!/bin/sh\necho ${word} $$\nwhile :; do sleep 0.05; done\n`;
  const made = makeProgram(seed, script, 1_500_000);
  const run = { ...runSpec(""), command: ["./serve"], health: commandCheck(healthCommand) };
  return { ...release(run, made.cid), made };
}

function without({ made: _made, ...plain }: Release & { readonly made: TestArtifact }): Release {
  return plain;
}

async function openRegion(
  programs: readonly (Release & { readonly made: TestArtifact })[],
): Promise<{ region: TestRegion; seeder: TestSeeder }> {
  const region = new TestRegion();
  region.now = Date.now;
  const seeder = await startTestSeeder(region);
  await startSeed(
    region,
    programs.map(({ made }) => made),
  );
  return { region, seeder };
}

/** The newest report of a host says that this release is healthy there. */
const isHealthy =
  (region: TestRegion, host: Host, { id }: Release) =>
  () =>
    region.reports
      .findLast((report) => report.host === host.id)
      ?.services.some((service) => service.healthy && service.running === id) === true;

test(
  "agents join, fetch, run and report; a bad release is gone back from",
  { timeout: timeoutMs },
  async () => {
    const [good, bad] = [programOf(1, "good"), programOf(2, "bad", "echo no database; exit 1")];
    const { region, seeder } = await openRegion([good, bad]);
    region.setGoals(goal(1, { run: without(good) }));
    const hosts = [
      await openHost(region, seeder, "host-a"),
      await openHost(region, seeder, "host-b"),
    ];
    const agents = await Promise.all(hosts.map((host) => host.start()));
    for (const host of hosts) await eventually(isHealthy(region, host, good), 20_000);
    region.setGoals(goal(2, { rollout: 2, run: without(bad), fallback: without(good) }));
    for (const host of hosts) {
      const failed = await eventually(
        () =>
          region.reports
            .findLast((report) => report.host === host.id)
            ?.services.find(({ state, healthy }) => state === "rolledBack" && healthy),
        20_000,
      );
      expect(failed).toMatchObject({ running: good.id, failed: { rollout: 2, release: bad.id } });
      expect(failed.failed?.message).toContain("no database");
      expect((await host.log()).match(/^\w+/gm)).toEqual(["good", "bad", "good"]);
    }
    expect(await Promise.all(agents.map((agent) => agent.end()))).toEqual(["", ""]);
    expect(region.faults).toEqual([]);
  },
);

test(
  "a service that a person has paused isn't fetched, over a kill too, says so, and goes on",
  { timeout: timeoutMs },
  async () => {
    const v1 = programOf(30, "one");
    const { region, seeder } = await openRegion([v1]);
    region.setGoals(goal(1, { run: without(v1) }));
    const host = await openHost(region, seeder, "host-a");
    const command = async (name: "pause" | "resume"): Promise<string> => {
      const args = [main, name, "web", "--state-dir", join(host.dir, "state")];
      return (await promisify(execFile)(process.execPath, args)).stdout.trim();
    };
    expect(await command("pause")).toContain("production/web is paused");
    const isPaused = () => {
      const [service] = region.reports.at(-1)?.services ?? [];
      return service?.waitsFor.endsWith(": paused by a person") === true;
    };
    const killed = await host.start();
    await eventually(isPaused, 20_000);
    await killed.kill();
    region.reports.length = 0;
    const agent = await host.start();
    await eventually(isPaused, 20_000);
    expect(await command("resume")).toBe("production/web goes on");
    await eventually(isHealthy(region, host, v1), 20_000);
    expect(await agent.end()).toBe("");
  },
);

test(
  "an agent that is killed again and again still gets there, with one program",
  { timeout: timeoutMs },
  async () => {
    const seed = Math.floor(Math.random() * 2 ** 32);
    const random = new Prng(seed);
    const [v1, v2] = [programOf(10, "one"), programOf(20, "two")];
    const { region, seeder } = await openRegion([v1, v2]);
    region.setGoals(goal(1, { run: without(v1) }));
    const host = await openHost(region, seeder, "host-a");
    for (let kill = 0; kill < 4; kill += 1) {
      const agent = await host.start();
      if (kill === 2)
        region.setGoals(goal(2, { rollout: 2, run: without(v2), fallback: without(v1) }));
      await sleep(random.below(700));
      await agent.kill();
    }
    const agent = await host.start();
    await eventually(isHealthy(region, host, v2), 20_000);
    const lines = (await host.log()).trimEnd().split("\n");
    const pids = lines.map((line) => line.split(" ")[1] ?? "");
    const living = await Promise.all(
      pids.map((pid) => readFile(`/proc/${pid}/cmdline`).catch(() => null)),
    );
    expect(living.filter((each) => each !== null && each.length > 0).length, `seed ${seed}`).toBe(
      1,
    );
    expect(lines.at(-1), `seed ${seed}`).toMatch(/^two /);
    expect(await agent.end()).toBe("");
  },
);

test(
  "a program outlives its agent, and starts from disk when no seeder answers",
  { timeout: timeoutMs },
  async () => {
    const v1 = programOf(30, "one");
    const { region, seeder } = await openRegion([v1]);
    region.setGoals(goal(1, { run: without(v1) }));
    const host = await openHost(region, seeder, "host-a");
    const first = await host.start();
    await eventually(isHealthy(region, host, v1), 20_000);
    await first.kill();
    await seeder.stop();
    const second = await host.start();
    // It was found, so it isn't started again; and when it ends, the new agent notices.
    const [, pid] = (await host.log()).trim().split(" ");
    process.kill(Number(pid), "SIGKILL");
    await eventually(async () => (await host.log()).match(/^one \d+$/gm)?.length === 2, 20_000);
    expect(await second.end()).toBe("");
  },
);

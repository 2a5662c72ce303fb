// A real S3 server for tests: the one that S3_ENDPOINT names (with S3_ACCESS_KEY and S3_SECRET_KEY), or
// else a Ceph object gateway that is started here, with one monitor and one object store in memory.
// Debian: apt-get install -y --no-install-recommends ceph-mon ceph-osd radosgw.
import { execFile, execFileSync, spawn, type ChildProcess } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { closeSync, openSync } from "node:fs";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

export interface S3Server {
  readonly endpoint: string;
  readonly credentials: { readonly accessKeyId: string; readonly secretAccessKey: string };
  stop(): Promise<void>;
}

const startMsMax = 60_000;
const programs = ["ceph", "ceph-authtool", "ceph-mon", "ceph-osd", "monmaptool", "radosgw"];

/** Says why there can be no server, or undefined when there can. */
export function whyNoS3(): string | undefined {
  if (process.env["S3_ENDPOINT"] !== undefined) return undefined;
  const missing = programs.filter((program) => !isInstalled(program));
  return missing.length === 0
    ? undefined
    : `neither S3_ENDPOINT nor ${missing.join(", ")}: install ceph-mon, ceph-osd and radosgw`;
}

export async function startS3(): Promise<S3Server> {
  const endpoint = process.env["S3_ENDPOINT"];
  if (endpoint === undefined) return startCeph();
  return {
    endpoint,
    credentials: {
      accessKeyId: process.env["S3_ACCESS_KEY"] ?? "",
      secretAccessKey: process.env["S3_SECRET_KEY"] ?? "",
    },
    stop: async () => {},
  };
}

async function startCeph(): Promise<S3Server> {
  const dir = await mkdtemp(join(tmpdir(), "shoal-ceph-"));
  const cluster = new Cluster(dir);
  const stop = async (): Promise<void> => {
    await cluster.stop();
    await rm(dir, { recursive: true, force: true });
  };
  try {
    return { ...(await cluster.start()), stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

class Cluster {
  readonly #dir: string;
  readonly #conf: string;
  /** In the order of their starts. */
  readonly #daemons: ChildProcess[] = [];

  constructor(dir: string) {
    this.#dir = dir;
    this.#conf = join(dir, "ceph.conf");
  }

  async start(): Promise<Omit<S3Server, "stop">> {
    const [monPort, s3Port] = [await freePort(), await freePort()];
    const fsid = randomUUID();
    for (const folder of ["mon", "osd", "run", "log"]) await mkdir(join(this.#dir, folder));
    await writeFile(this.#conf, confOf(this.#dir, fsid, monPort, s3Port));
    await this.#makeKeys();
    const map = join(this.#dir, "monmap");
    const address = `[v2:127.0.0.1:${monPort}/0]`;
    await run("monmaptool", ["--create", "--fsid", fsid, "--addv", "a", address, map]);
    const keyring = join(this.#dir, "keyring");
    const mon = ["-i", "a", "--mkfs", "--monmap", map, "--keyring", keyring];
    await this.#ceph("ceph-mon", mon);
    this.#spawn("ceph-mon", ["-i", "a"]);
    const osd = randomUUID();
    await this.#ceph("ceph", ["osd", "new", osd, "0"]);
    await this.#ceph("ceph-osd", ["-i", "0", "--mkfs", "--osd-uuid", osd]);
    this.#spawn("ceph-osd", ["-i", "0"]);
    await this.#until(async () => (await this.#ceph("ceph", ["osd", "stat"])).includes("1 up"));
    await this.#makePools();
    this.#spawn("radosgw", ["-n", "client.rgw"]);
    const endpoint = `http://127.0.0.1:${s3Port}`;
    await this.#until(async () => (await fetch(endpoint)).ok);
    const credentials = { accessKeyId: "testkey", secretAccessKey: "testsecret" };
    const keys = [
      `--access-key=${credentials.accessKeyId}`,
      `--secret-key=${credentials.secretAccessKey}`,
    ];
    const user = ["-n", "client.rgw", "user", "create", "--uid=t", "--display-name=t", ...keys];
    await this.#ceph("radosgw-admin", user);
    return { endpoint, credentials };
  }

  /** Ends the daemons in reverse order; there is nothing to keep. */
  async stop(): Promise<void> {
    for (const daemon of this.#daemons.splice(0).toReversed()) {
      if (daemon.exitCode !== null || daemon.signalCode !== null) continue;
      daemon.kill("SIGKILL");
      await once(daemon, "exit");
    }
  }

  async #makeKeys(): Promise<void> {
    const keyring = join(this.#dir, "keyring");
    const keys: [string, ...string[]][] = [
      ["mon.", "mon", "allow *"],
      ["client.admin", "mon", "allow *", "osd", "allow *", "mgr", "allow *"],
      ["client.rgw", "mon", "allow rw", "osd", "allow rwx"],
      ["osd.0", "mon", "allow profile osd", "osd", "allow *"],
    ];
    for (const [index, [name, ...caps]] of keys.entries()) {
      const args = [...(index === 0 ? ["-C"] : []), keyring, "--gen-key", "-n", name];
      for (let at = 0; at < caps.length; at += 2) {
        args.push("--cap", caps[at] ?? "", caps[at + 1] ?? "");
      }
      await run("ceph-authtool", args);
    }
  }

  /** The gateway would make its pools itself, one after another and slowly. */
  async #makePools(): Promise<void> {
    const names = ["log", "control", "meta", "buckets.index", "buckets.data", "buckets.non-ec"];
    const pools = [".rgw.root", ...names.map((name) => `default.rgw.${name}`)];
    const commands = pools.flatMap((pool) => [
      `osd pool create ${pool} 4`,
      `osd pool application enable ${pool} rgw`,
    ]);
    // One client for all of them: each start costs a quarter of a second.
    await run("ceph", ["-c", this.#conf], `${commands.join("\n")}\nquit\n`);
  }

  async #ceph(program: string, args: readonly string[]): Promise<string> {
    return run(program, ["-c", this.#conf, ...args]);
  }

  #spawn(program: string, args: readonly string[]): void {
    const log = openSync(join(this.#dir, "log", `${program}.out`), "a");
    const stdio: ("ignore" | number)[] = ["ignore", log, log];
    this.#daemons.push(spawn(program, ["-c", this.#conf, ...args, "-f"], { stdio }));
    closeSync(log);
  }

  async #until(isReady: () => Promise<boolean>): Promise<void> {
    const deadlineMs = performance.now() + startMsMax;
    while (!(await isReady().catch(() => false))) {
      const dead = this.#daemons.find(({ exitCode }) => exitCode !== null);
      if (dead !== undefined) throw new Error(`${dead.spawnfile} ended with ${dead.exitCode}`);
      if (performance.now() > deadlineMs) throw new Error("Ceph didn't start in time");
      await sleep(50);
    }
  }
}

async function run(program: string, args: readonly string[], input?: string): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const child = execFile(program, args, { timeout: startMsMax }, (error, stdout, stderr) => {
    if (error === null) resolve(`${stdout}${stderr}`);
    else reject(new Error(`${program} failed: ${stderr.slice(-2000)}`, { cause: error }));
  });
  child.stdin?.end(input);
  return promise;
}

function isInstalled(program: string): boolean {
  try {
    execFileSync("sh", ["-c", `command -v ${program}`], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  if (address === null || typeof address === "string") throw new Error("no port");
  return address.port;
}

/** Small and quick: one copy of everything, in memory, and no waiting for others to agree. */
function confOf(dir: string, fsid: string, monPort: number, s3Port: number): string {
  return `[global]
fsid = ${fsid}
mon host = v2:127.0.0.1:${monPort}/0
ms bind ipv4 = true
public addr = 127.0.0.1
cluster addr = 127.0.0.1
auth cluster required = cephx
auth service required = cephx
auth client required = cephx
keyring = ${dir}/keyring
run dir = ${dir}/run
pid file = ${dir}/run/$type.$id.pid
admin socket = ${dir}/run/$type.$id.asok
log file = ${dir}/log/$type.$id.log
crash dir = ${dir}/log
mon data = ${dir}/mon
osd data = ${dir}/osd
paxos propose interval = 0.05
paxos min wait = 0.01
mon data avail crit = 1
mon data avail warn = 1
mon max pg per osd = 1000
osd pool default size = 1
osd pool default min size = 1
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
osd objectstore = memstore
memstore device bytes = 2147483648
osd op num shards = 2
osd class load list = *
osd class default list = *
osd client watch timeout = 2
[client.rgw]
rgw frontends = beast endpoint=127.0.0.1:${s3Port} tcp_nodelay=1
rgw enable usage log = false
rgw enable ops log = false
rgw thread pool size = 32
rgw dynamic resharding = false
rgw override bucket index max shards = 1
`;
}

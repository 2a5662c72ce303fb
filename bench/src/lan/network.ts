// Machines on one switch, each a network namespace whose link has a rate each way (tc tbf). This
// machine's own network is a port without a limit, for what isn't measured. Removing the namespaces
// removes everything; what a killed bench left is removed by the next one.
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import type { Place } from "../swarm/swarm-fleet.ts";

const prefix = "shoal-lan-";
/** What a port sends at once before its rate counts. */
const burst = "64kb";
/**
 * How long a port's queue gets. Several start to send to one host at once: with 50 ms, 3% of what they sent was
 * lost at its port and sent again, with 10 ms it took a tenth longer.
 */
const queueMs = 100;
/**
 * Frames as in data centres (AWS within a region: 9001). The rates' queues look at each frame: with 1500 bytes they took
 * two fifths of two cores, and twelve agents and their packets 2.6 times the bound instead of 1.2.
 */
const mtuBytes = 9000;
/** What most kernels take by themselves, whatever this one does. */
const congestionControl = "cubic";

/** One line about what is missing for such networks; null when nothing is. */
export function whyNoLan(): string | null {
  if (process.getuid?.() !== 0) return "network namespaces need root";
  try {
    run("ip", "netns", "list");
    run("tc", "qdisc", "show");
  } catch {
    return "ip and tc are missing: apt-get install iproute2";
  }
  const name = `${prefix}${process.pid}-trial`;
  try {
    run("ip", "netns", "add", name);
    run("ip", "-n", name, "link", "add", "br0", "type", "bridge");
    limit(name, "lo", 100);
    return null;
  } catch (error) {
    return `network namespaces with bridges and tbf aren't allowed here: ${String(error)}`;
  } finally {
    removeNamespace(name);
  }
}

export class Lan implements Disposable {
  readonly #own = `${prefix}${process.pid}-`;
  readonly #subnet = `10.213.${process.pid % 250}`;
  readonly #machines: readonly string[];

  /** Connects machines; `setRate` says how fast. */
  constructor(machines: readonly string[]) {
    this.#machines = machines;
    removeLeftovers();
    try {
      this.#build();
    } catch (error) {
      this[Symbol.dispose]();
      throw error;
    }
  }

  /** Where a machine's processes run; one that isn't a machine of this network is this machine. */
  place(machine: string): Place {
    const index = this.#machines.indexOf(machine);
    if (index < 0) return { address: `${this.#subnet}.254`, prefix: [] };
    const enter = ["ip", "netns", "exec", `${this.#own}${machine}`];
    return { address: `${this.#subnet}.${index + 1}`, prefix: enter };
  }

  /** How fast a machine's link is from now on, each way. */
  setRate(machine: string, mbit: number): void {
    limit(`${this.#own}${machine}`, "eth0", mbit);
    limit(`${this.#own}switch`, machine, mbit);
  }

  /** Kills what runs on the machines and removes them. */
  [Symbol.dispose](): void {
    for (const machine of [...this.#machines, "switch"]) removeNamespace(`${this.#own}${machine}`);
  }

  #build(): void {
    const hub = `${this.#own}switch`;
    run("ip", "netns", "add", hub);
    run("ip", "-n", hub, "link", "add", "br0", "type", "bridge");
    passFilters(hub);
    run("ip", "-n", hub, "link", "set", "br0", "up");
    for (const machine of this.#machines) {
      const name = `${this.#own}${machine}`;
      const { address } = this.place(machine);
      run("ip", "netns", "add", name);
      run("ip", "-n", name, "link", "set", "lo", "up");
      const peer = ["peer", "name", machine, "netns", hub];
      const mtu = ["mtu", String(mtuBytes)];
      run("ip", "-n", name, "link", "add", "eth0", ...mtu, "type", "veth", ...peer);
      run("ip", "-n", hub, "link", "set", machine, ...mtu);
      run("ip", "-n", name, "address", "add", `${address}/24`, "dev", "eth0");
      run("ip", "-n", name, "link", "set", "eth0", "up");
      const route = [`${this.#subnet}.0/24`, "dev", "eth0", "congctl", congestionControl];
      run("ip", "-n", name, "route", "replace", ...route);
      run("ip", "-n", hub, "link", "set", machine, "master", "br0", "up");
    }
    // Goes with the switch's namespace, in which its other end is.
    const own = `slan${process.pid}`;
    run("ip", "link", "add", own, "type", "veth", "peer", "name", "outside", "netns", hub);
    run("ip", "address", "add", `${this.place("").address}/24`, "dev", own);
    run("ip", "link", "set", own, "up");
    run("ip", "-n", hub, "link", "set", "outside", "master", "br0", "up");
  }
}

function limit(namespace: string, device: string, mbit: number): void {
  const shape = ["tbf", "rate", `${mbit}mbit`, "burst", burst, "latency", `${queueMs}ms`];
  run("tc", "-n", namespace, "qdisc", "replace", "dev", device, "root", ...shape);
}

/** The switch is a wire: a firewall that looks at each packet takes its processors from what is measured. */
function passFilters(hub: string): void {
  for (const filter of ["iptables", "ip6tables", "arptables"]) {
    const setting = `net.bridge.bridge-nf-call-${filter}=0`;
    try {
      run("ip", "netns", "exec", hub, "sysctl", "-q", "-w", setting);
    } catch {
      // This kernel has no such firewall.
    }
  }
}

function removeLeftovers(): void {
  for (const line of run("ip", "netns", "list").split("\n")) {
    const pid = /^shoal-lan-(\d+)-/.exec(line)?.[1];
    if (pid !== undefined && !existsSync(`/proc/${pid}`)) removeNamespace(line.split(" ")[0] ?? "");
  }
}

/** A namespace lives as long as a process in it: those end first. */
function removeNamespace(name: string): void {
  try {
    for (const pid of run("ip", "netns", "pids", name).split("\n")) {
      if (pid !== "") process.kill(Number(pid), "SIGKILL");
    }
  } catch {
    // There is no such namespace, or a process ended by itself meanwhile.
  }
  try {
    run("ip", "netns", "delete", name);
  } catch {
    // There is none.
  }
}

function run(program: string, ...args: readonly string[]): string {
  return execFileSync(program, args, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
}

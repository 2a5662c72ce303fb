// Machines that share a network, made of network namespaces: one for each machine, one for the switch
// between them. Nothing of them is in the namespace of the test itself, so that removing them is all
// there is to clean; what a killed test left is removed by the next one.
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";

const prefix = "shoal-ops-";

/** Why there can't be such networks here; null when there can. */
export function whyNoNetwork(): string | null {
  if (process.getuid?.() !== 0) return "network namespaces need root";
  try {
    ip("netns", "list");
  } catch {
    return "iproute2 isn't installed (apt-get install iproute2)";
  }
  const name = `${prefix}${process.pid}-trial`;
  try {
    ip("netns", "add", name);
    ip("-n", name, "link", "add", "br0", "type", "bridge");
    return null;
  } catch {
    return "network namespaces and bridges aren't allowed here";
  } finally {
    removeNamespace(name);
  }
}

export interface Network {
  /** Name of a machine's namespace. */
  namespaceOf(machine: string): string;
  /** Kills what runs in it and removes everything. */
  close(): void;
}

/** Connects machines, each with its address in one /24, over one switch. */
export function createNetwork(machines: ReadonlyMap<string, string>): Network {
  removeLeftovers();
  const own = `${prefix}${process.pid}-`;
  const names = [...machines.keys(), "switch"].map((machine) => `${own}${machine}`);
  const network: Network = {
    namespaceOf: (machine) => `${own}${machine}`,
    close: () => {
      for (const name of names) removeNamespace(name);
    },
  };
  try {
    const hub = network.namespaceOf("switch");
    for (const name of names) {
      ip("netns", "add", name);
      ip("-n", name, "link", "set", "lo", "up");
    }
    ip("-n", hub, "link", "add", "br0", "type", "bridge");
    ip("-n", hub, "link", "set", "br0", "up");
    for (const [machine, address] of machines) {
      const name = network.namespaceOf(machine);
      const peer = ["peer", "name", machine, "netns", hub];
      ip("-n", name, "link", "add", "eth0", "type", "veth", ...peer);
      ip("-n", name, "address", "add", `${address}/24`, "dev", "eth0");
      ip("-n", name, "link", "set", "eth0", "up");
      ip("-n", hub, "link", "set", machine, "master", "br0", "up");
    }
    return network;
  } catch (error) {
    network.close();
    throw error;
  }
}

function removeLeftovers(): void {
  for (const line of ip("netns", "list").split("\n")) {
    const pid = /^shoal-ops-(\d+)-/.exec(line)?.[1];
    const name = line.split(" ")[0] ?? "";
    if (pid !== undefined && !existsSync(`/proc/${pid}`)) removeNamespace(name);
  }
}

/** A namespace lives as long as a process in it: those end first. */
function removeNamespace(name: string): void {
  try {
    for (const pid of ip("netns", "pids", name).split("\n")) {
      if (pid !== "") process.kill(Number(pid), "SIGKILL");
    }
  } catch {
    // There is no such namespace, or a process ended by itself meanwhile.
  }
  try {
    ip("netns", "delete", name);
  } catch {
    // There is none.
  }
}

function ip(...args: readonly string[]): string {
  return execFileSync("ip", args, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
}

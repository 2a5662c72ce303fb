// `shoal why <host>`: what a host waits for, from whom, since when, and what would help.
import type { Command } from "commander";
import type { FetchStatus, HostStatus, ServiceStatus } from "@shoal/api/seeder";
import { ShoalError } from "@shoal/core/error";
import { secondMs } from "@shoal/core/units";
import { formatBytes, formatDuration, shortId } from "../units.ts";
import { commonOptions, type CommandContext, type CommonOptions } from "./context.ts";
import { printAnswer } from "./print.ts";
import { readHosts } from "./status.ts";

/** Hosts report at least so often; one that is silent for longer isn't there, or can't reach a seeder. */
const silentMs = 30 * secondMs;
/** A peer is given this long before its silence means anything. */
const peerSilentMs = 2 * secondMs;

export function addWhyCommand(program: Command, context: CommandContext): void {
  commonOptions(program.command("why"))
    .description("What a host waits for, from whom, since when, and what would help")
    .argument("<host>", "its name")
    .option("--region <name>", "its region, where two have a host of that name")
    .action(async (name: string, options: CommonOptions & { readonly region?: string }) => {
      const { items: hosts } = await readHosts(context.connect(options), options.region);
      const found = hosts.filter(({ host }) => host === name);
      if (found.length === 0) throw unknownHost(name);
      printAnswer({ items: found }, options.json === true, ({ items }) =>
        items.map(describeWhy).join("\n\n"),
      );
    });
}

/** Everything that is known of what a host waits for, as text for a person. */
export function describeWhy(host: HostStatus): string {
  const { region, zone, seenMsAgo, services, fetches } = host;
  const heard = `${host.host} in ${region}/${zone}, heard of ${formatDuration(seenMsAgo)} ago`;
  const waiting = fetches.filter(({ waits }) => waits !== null);
  const lines = [heard];
  if (seenMsAgo > silentMs) {
    lines.push("What follows is what it said then.");
    lines.push(help("see whether its agent runs and reaches a seeder of the region"));
  }
  for (const service of services) lines.push(...describeService(service));
  for (const fetch of waiting) lines.push(...describeFetch(fetch));
  if (waiting.length === 0 && services.every((service) => service.waitsFor === "")) {
    lines.push(services.length === 0 ? "No service selects it." : "It waits for nothing.");
  }
  return lines.join("\n");
}

function describeService(service: ServiceStatus): readonly string[] {
  const { environment, state, waitsFor, failed } = service;
  const lines = [`${environment}/${service.service} is ${state}`];
  if (failed !== null) {
    lines.push(`  ${shortId(failed.release)} failed here: ${failed.message} (${failed.code})`);
    lines.push(help("look at the program's log on the host; deploy a release that is mended"));
  }
  if (waitsFor !== "") lines.push(`  waits for ${waitsFor}`);
  return lines;
}

function describeFetch(fetch: FetchStatus): readonly string[] {
  const { waits, artifact, bytes, bytesFromSeeders, bytesFromPeers, bytesReused } = fetch;
  if (waits === null) return [];
  const moved = [
    `${formatBytes(bytesReused)} were on its disk`,
    `${formatBytes(bytesFromSeeders)} came from seeders`,
    `${formatBytes(bytesFromPeers)} from hosts`,
  ];
  const { piecesMissing, piecesCount, peersLinked, peersKnown, stillMs } = waits;
  return [
    `artifact ${shortId(artifact)}, ${formatBytes(bytes)}: ${moved.join(", ")}`,
    `  lacks ${piecesMissing} of ${piecesCount} pieces; the last chunk came ${formatDuration(stillMs)} ago`,
    `  ${peersLinked} peers are linked, ${peersKnown} are known`,
    ...waits.peers.map(
      ({ peer, seeder, requests, bytes: asked, silentMs: silent }) =>
        `  asked ${seeder ? "seeder" : "host"} ${peer} for ${formatBytes(asked)} in ${requests} requests, silent for ${formatDuration(silent)}`,
    ),
    help(whatHelps(waits)),
  ];
}

function whatHelps({ reason, peersKnown, peers }: NonNullable<FetchStatus["waits"]>): string {
  switch (reason) {
    case "noPeer":
      return peersKnown === 0
        ? "a seeder that answers, or another host that has the artifact and was linked before"
        : "an open way to the swarm port of the peers that are known; `shoal agent events` on the host says why dials fail";
    case "paused":
      return "`shoal agent resume` on the host; `shoal agent pauses` lists what a person has paused there";
    case "noOffer":
      return "nothing yet: its links are new";
    case "storing":
      return "a faster disk: what it lacks has arrived, or lies in another release there, and isn't written yet";
    case "notOffered":
      return "a seeder, or a host that has what all of its peers lack";
    case "requests":
      return (peers[0]?.silentMs ?? 0) < peerSilentMs
        ? "nothing: chunks are coming"
        : "nothing yet: what a silent peer was asked for goes elsewhere by itself; a peer that stays silent is dropped";
  }
}

function help(text: string): string {
  return `  what would help: ${text}`;
}

function unknownHost(name: string): ShoalError {
  return new ShoalError("not_found", `no seeder has heard of a host named ${name}`, {
    blame: "remote",
    hint: "shoal hosts lists those that it has heard of",
  });
}

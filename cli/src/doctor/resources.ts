// Disk, ports and the clock.
import { clockSkewMs } from "@shoal/core/limits";
import { gibibyte, secondMs } from "@shoal/core/units";
import { formatBytes, formatDuration } from "../units.ts";
import { fine, warning, wrong, type Finding } from "./finding.ts";
import type { Machine } from "./machine.ts";

/** Less than this doesn't hold a build of the example beside its releases. */
const freeBytesMin = 2 * gibibyte;
/** Less than this is soon full with real artifacts. */
const freeBytesGood = 20 * gibibyte;
/** When this was written: a clock before it has never been set. */
const earliestMs = Date.parse("2026-01-01T00:00:00Z");
const latestMs = Date.parse("2100-01-01T00:00:00Z");
/** A clock this far off is told before it does harm. */
const offsetGoodMs = 5 * secondMs;
const setClock = "timedatectl set-ntp true";

export async function checkDisk(
  machine: Pick<Machine, "freeBytes">,
  folder: string,
): Promise<Finding> {
  try {
    const bytes = await machine.freeBytes(folder);
    const says = `${formatBytes(bytes)} are free at ${folder}`;
    if (bytes < freeBytesMin)
      return wrong("disk", says, "make room, or name another folder with --dir");
    return bytes < freeBytesGood
      ? warning("disk", says, "make room before artifacts of several GiB come")
      : fine("disk", says);
  } catch (error) {
    return wrong("disk", `${folder} can't be looked at: ${String(error)}`, "name another folder");
  }
}

/** A port of Shoal's own may well be in use by Shoal; one that was asked about may not. */
export async function checkPort(
  machine: Pick<Machine, "tryPort">,
  port: number,
  use: string,
  isAskedFor: boolean,
): Promise<Finding> {
  const check = `port ${port}`;
  const code = await machine.tryPort("0.0.0.0", port);
  if (code === "") return fine(check, `free (${use})`);
  const says = code === "EADDRINUSE" ? `in use (${use})` : `can't be listened on: ${code} (${use})`;
  const fix =
    code === "EACCES"
      ? "take a port from 1024 on"
      : `see who has it with: ss -ltnp 'sport = :${port}'; or give the process another port`;
  return isAskedFor || code === "EACCES" ? wrong(check, says, fix) : warning(check, says, fix);
}

export function checkClock(machine: Pick<Machine, "now">): Finding {
  const now = machine.now();
  const says = new Date(now).toISOString();
  return now > earliestMs && now < latestMs
    ? fine("clock", says)
    : wrong(
        "clock",
        `${says} can't be right: every signature looks expired or not yet good`,
        setClock,
      );
}

/** Passports and grants are good within `clockSkewMs` of their times. */
export async function checkClockAgainst(
  machine: Pick<Machine, "serverTime">,
  url: string,
): Promise<Finding> {
  const check = "clock, compared";
  try {
    const { serverMs, localMs } = await machine.serverTime(url);
    if (Number.isNaN(serverMs))
      return warning(check, `${url} doesn't tell the time`, "check --url");
    // The header has whole seconds only: what it was cut by isn't an offset.
    const offsetMs = Math.max(0, Math.abs(localMs - (serverMs + secondMs / 2)) - secondMs / 2);
    const says = `${formatDuration(offsetMs)} from the control plane's`;
    if (offsetMs >= clockSkewMs)
      return wrong(check, `${says}: its passports and grants are refused here`, setClock);
    return offsetMs >= offsetGoodMs ? warning(check, says, setClock) : fine(check, says);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return wrong(
      check,
      `the control plane at ${url} doesn't answer: ${why}`,
      "check --url, and that it runs",
    );
  }
}

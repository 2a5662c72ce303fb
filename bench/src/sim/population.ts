// Who lives in a world, when they join, and who dies when: all drawn from the scenario's seed.
import { bitfieldOf, setBit } from "@shoal/core/swarm/bitfield";
import type { SwarmConfig } from "@shoal/core/swarm/config";
import { Prng } from "@shoal/core/prng";
import { minuteMs, type Millis } from "@shoal/core/units";
import type { Nature, SimHost } from "./sim-host.ts";
import type { World } from "./world.ts";

/** Adds seeders, which begin at once, and hosts, which join over `joinMs`. */
export function populate(world: World, config: Partial<SwarmConfig>): void {
  const { scenario, pieces } = world;
  const { seeders, hosts, zones, joinMs } = scenario;
  const prng = new Prng(scenario.seed).child(5);
  const plain = { isSeeder: false, isSlow: false, isLying: false, isSilent: false };
  for (let index = 0; index < seeders; index += 1) {
    const nature = { ...plain, isSeeder: true };
    const seeder = world.add(nature, index % zones, scenario.seederMbit, config);
    if (seeder === undefined) continue;
    for (let chunk = 0; chunk < pieces.chunksCount; chunk += 1) seeder.hold(chunk);
    world.join(seeder);
  }
  const reused = reusedChunks(pieces.chunksCount, scenario.reusedShare, prng.child(1));
  const natures = drawNatures(world, prng.child(2));
  for (const [index, nature] of natures.entries()) {
    const mbit = nature.isSlow ? scenario.mbit * scenario.slowFactor : scenario.mbit;
    const host = world.add(nature, world.sites.length % zones, mbit, config);
    if (host === undefined) continue;
    host.held.set(reused);
    world.at((joinMs * index) / hosts, () => world.join(host));
  }
}

/** Lets hosts die and come back, evenly over the time of faults. Draws the same in every lane. */
export function scheduleDeaths(world: World, prng: Prng): void {
  const { hosts, seeders, deathsPerMinute, faultsEndMs } = world.scenario;
  if (deathsPerMinute === 0) return;
  const own = new Map(world.hosts.map((host) => [host.index, host]));
  const pauseMs = minuteMs / (deathsPerMinute * hosts);
  const next = (at: Millis): void => {
    if (at > faultsEndMs) return;
    world.at(at, () => {
      const host = own.get(seeders + prng.below(hosts));
      const isWiped = prng.next() < world.scenario.wipedShare;
      if (host?.isAlive === true) killForAWhile(world, host, isWiped);
      next(at + pauseMs);
    });
  };
  next(pauseMs);
}

function killForAWhile(world: World, host: SimHost, isWiped: boolean): void {
  world.kill(host);
  if (isWiped) host.wipe();
  world.at(world.now + world.scenario.comeBackMs, () => world.join(host));
}

/** Exactly the shares of the scenario, dealt out at random; nobody is two of them. */
function drawNatures({ scenario }: World, prng: Prng): readonly Nature[] {
  const { hosts, slowShare, lyingShare, silentShare } = scenario;
  const natures = Array.from({ length: hosts }, (_unused, index) => {
    const at = (index + 0.5) / hosts;
    const isLying = at < lyingShare;
    const isSilent = !isLying && at < lyingShare + silentShare;
    const isSlow = !isLying && !isSilent && at < lyingShare + silentShare + slowShare;
    return { isSeeder: false, isLying, isSilent, isSlow };
  });
  for (let left = natures.length - 1; left > 0; left -= 1) {
    const other = prng.below(left + 1);
    const [a, b] = [natures[left], natures[other]];
    if (a === undefined || b === undefined) continue;
    natures[left] = b;
    natures[other] = a;
  }
  return natures;
}

/** The same for all hosts: what an earlier release had. */
function reusedChunks(count: number, share: number, prng: Prng): Uint8Array {
  const field = bitfieldOf(count);
  for (let chunk = 0; chunk < count; chunk += 1) if (prng.next() < share) setBit(field, chunk);
  return field;
}

// Hosts and what they run, asked of the seeders: the control plane keeps no row for a host. A page
// holds what one or several seeders answer, in the order of region and seeder.
import type { unreachableSeeder } from "@shoal/api/control-plane";
import type { HostStatus } from "@shoal/api/seeder";
import { type SeederFetch, createSeederClient } from "@shoal/api/seeder-client";
import { createPinnedFetch } from "@shoal/trust/pinned-fetch";
import { z } from "zod";
import type { Authority } from "../authority.ts";
import type { Queries } from "../db/connection.ts";
import { type Page, readCursor } from "../db/page.ts";
import { type SeederAddress, listSeeders } from "../db/seeders.ts";

/** How long one seeder may take; a dead one must not hide the others' hosts behind a long wait. */
const seederAnswerMsMax = 5000;

export interface ListHostsDeps {
  readonly database: Queries;
  readonly authority: Authority;
}

interface HostsQuery {
  readonly region?: string | undefined;
  readonly limit: number;
  readonly cursor?: string | undefined;
}

/** Where a page goes on: a seeder, and its own cursor. */
const place = z.tuple([z.string().max(64), z.string().max(64), z.string().max(256).nullable()]);

type HostsPage = Page<HostStatus> & { unreachable: Unreachable[] };
type Unreachable = z.infer<typeof unreachableSeeder>;

/** One page. Seeders that didn't answer are named in it: their hosts are missing. */
export async function listHosts(deps: ListHostsDeps, query: HostsQuery): Promise<HostsPage> {
  const [region, name, inner] = readCursor(query.cursor, place) ?? ["", "", null];
  const seeders = await listSeeders(deps.database, query.region, [region, name]);
  const items: HostStatus[] = [];
  const unreachable: Unreachable[] = [];
  for (const [index, seeder] of seeders.entries()) {
    const isFirst = seeder.region === region && seeder.name === name;
    const answer = await askSeeder(deps.authority, seeder, {
      limit: query.limit - items.length,
      ...(isFirst && inner !== null ? { cursor: inner } : {}),
    });
    if (typeof answer === "string") {
      unreachable.push({ region: seeder.region, seeder: seeder.name, reason: answer });
      continue;
    }
    items.push(...answer.items.slice(0, query.limit - items.length));
    if (answer.nextCursor !== null)
      return { items, nextCursor: write(seeder, answer.nextCursor), unreachable };
    const next = seeders[index + 1];
    if (items.length >= query.limit && next !== undefined) {
      return { items, nextCursor: write(next, null), unreachable };
    }
  }
  return { items, nextCursor: null, unreachable };
}

/** What it answers, or why it didn't. */
async function askSeeder(
  authority: Authority,
  seeder: SeederAddress,
  query: { readonly limit: number; readonly cursor?: string },
): Promise<{ readonly items: readonly HostStatus[]; readonly nextCursor: string | null } | string> {
  const grant = await authority.issueGrant({ scope: "inspect", regions: [seeder.region] });
  const pinned = createPinnedFetch({ peerId: seeder.peerId, connectionsMax: 1 });
  const fetch: SeederFetch = (url, init) => pinned(url, init);
  try {
    const client = createSeederClient({ url: seeder.url, fetch, token: () => grant });
    return await client.hosts(query, { signal: AbortSignal.timeout(seederAnswerMsMax) });
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  } finally {
    await pinned.close();
  }
}

function write(seeder: SeederAddress, inner: string | null): string {
  return Buffer.from(JSON.stringify([seeder.region, seeder.name, inner])).toString("base64url");
}

// Which control plane runs which loop.
import type { Queries } from "./connection.ts";

/** Takes or keeps a loop for `heldMs`; false while somebody else has it. */
export async function holdLoop(
  queries: Queries,
  name: string,
  owner: string,
  heldMs: number,
): Promise<boolean> {
  const held = await queries`
    insert into loops as l (name, owner, until)
    values (${name}, ${owner}, now() + ${heldMs} * interval '1 millisecond')
    on conflict (name) do update set owner = excluded.owner, until = excluded.until
    where l.owner = excluded.owner or l.until < now()`;
  return held.count > 0;
}

/** Gives up all loops of a control plane, for others to take at once. */
export async function releaseLoops(queries: Queries, owner: string): Promise<void> {
  await queries`delete from loops where owner = ${owner}`;
}

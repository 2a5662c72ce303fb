// The one row about the whole fleet: the epoch.
import type { Queries } from "./connection.ts";

/** The epoch, held as it is until the transaction ends: goals are written under it. */
export async function holdEpoch(queries: Queries): Promise<number> {
  const [row] = await queries<{ epoch: number }[]>`select epoch from fleet for share`;
  return row?.epoch ?? 1;
}

export async function readEpoch(queries: Queries): Promise<number> {
  const [row] = await queries<{ epoch: number }[]>`select epoch from fleet`;
  return row?.epoch ?? 1;
}

/** Raises the epoch to at least `epoch`; answers whether that changed it. */
export async function raiseEpoch(queries: Queries, epoch: number): Promise<boolean> {
  const raised = await queries`update fleet set epoch = ${epoch} where epoch < ${epoch}`;
  return raised.count > 0;
}

/** Answers when the database does. */
export async function ping(queries: Queries): Promise<void> {
  await queries`select 1`;
}

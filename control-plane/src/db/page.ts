// Keyset pages: a cursor is the key of the last item shown, so that pages stay right while rows come
// and go. Opaque to callers: base64url of a JSON array of texts and numbers.
import { remoteError } from "@shoal/core/error";
import { z } from "zod";

export interface PageQuery {
  readonly limit: number;
  readonly cursor?: string | undefined;
}

export interface Page<Item> {
  readonly items: Item[];
  readonly nextCursor: string | null;
}

/** The key in a cursor, checked against its shape; undefined without a cursor. Throws `cursor_invalid`. */
export function readCursor<Key extends z.ZodType>(
  cursor: string | undefined,
  key: Key,
): z.output<Key> | undefined {
  if (cursor === undefined) return undefined;
  try {
    return key.parse(JSON.parse(Buffer.from(cursor, "base64url").toString("utf8")));
  } catch {
    throw remoteError("cursor_invalid", "The cursor isn't one that this list answered.");
  }
}

/** A page of rows that were asked for with one more than the limit, to see whether there are more. */
export function pageOf<Row, Item>(
  rows: readonly Row[],
  limit: number,
  keyOf: (row: Row) => readonly (string | number)[],
  itemOf: (row: Row) => Item,
): Page<Item> {
  const shown = rows.slice(0, limit);
  const last = shown.at(-1);
  const more = rows.length > limit && last !== undefined;
  return {
    items: shown.map(itemOf),
    nextCursor: more ? Buffer.from(JSON.stringify(keyOf(last))).toString("base64url") : null,
  };
}

/** Keys of the lists that are ordered by one name, by two, or by a counted id. */
export const nameKey = z.tuple([z.string().max(64)]);
export const namePairKey = z.tuple([z.string().max(64), z.string().max(64)]);
export const nameTripleKey = z.tuple([z.string().max(64), z.string().max(64), z.string().max(64)]);
export const idKey = z.tuple([z.int().positive()]);

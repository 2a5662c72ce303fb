// Tokens of people: what each may do, until when. Only SHA-256 hashes of secrets come here.
import { type GrantedPermission, grantedPermission } from "@shoal/api/environments";
import { z } from "zod";
import type { Queries } from "./connection.ts";

export interface Person {
  readonly role: "person";
  readonly name: string;
  readonly permissions: readonly GrantedPermission[];
}

export async function insertPerson(
  queries: Queries,
  hash: Uint8Array,
  person: Omit<Person, "role"> & { readonly ttlMs: number },
): Promise<void> {
  await queries`
    insert into people (hash, name, permissions, expires_at)
    values (${hash}, ${person.name}, ${queries.json(person.permissions)},
      now() + ${person.ttlMs} * interval '1 millisecond')`;
}

export async function findPerson(queries: Queries, hash: Uint8Array): Promise<Person | null> {
  const [row] = await queries<{ name: string; permissions: unknown }[]>`
    select name, permissions from people where hash = ${hash} and expires_at > now()`;
  if (row === undefined) return null;
  const permissions = z.array(grantedPermission).parse(row.permissions);
  return { role: "person", name: row.name, permissions };
}

/** Ends all tokens of a person; answers how many. */
export async function deletePerson(queries: Queries, name: string): Promise<number> {
  const deleted = await queries`delete from people where name = ${name}`;
  return deleted.count;
}

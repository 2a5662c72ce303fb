// For tests and benches: a builder or seeder that joins at once, by the same calls as a real one.
import type { Client } from "@shoal/api/client";
import { type KeyFile, createKey } from "./key-file.ts";
import { MemberKeeper, type MemberKeeperConfig } from "./member-keeper.ts";

export interface Enrolled {
  readonly key: KeyFile;
  readonly member: MemberKeeper;
  /** Every call as this member. */
  readonly client: Client;
  /** What such a call presents. */
  readonly token: () => string;
}

export interface EnrollInput extends Pick<MemberKeeperConfig, "role" | "name"> {
  readonly region: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly key?: KeyFile;
}

/** Makes a join token with the admin's client and joins with it. */
export async function enroll(
  admin: Pick<Client, "joinTokens">,
  connect: (token: () => string) => Client,
  { role, name, region, labels = {}, key = createKey() }: EnrollInput,
): Promise<Enrolled> {
  const { token: joinToken } = await admin.joinTokens.create({
    ...{ role, region, labels: { ...labels } },
    ...{ usesMax: 1, ttlMs: 3_600_000 },
  });
  const token = (): string => member.callProof();
  const client = connect(token);
  const member = new MemberKeeper(
    {
      key,
      client: () => client.members,
      file: { read: async () => undefined, write: async () => undefined },
      now: () => Date.now(),
      random: Math.random,
      log: { info: () => undefined, warn: () => undefined },
    },
    { role, name, joinToken },
  );
  await member.ensure(new AbortController().signal);
  return { key, member, client, token };
}

import { expect, test } from "vitest";
import { bulkConfigOf } from "./bulk-config.ts";

const swarmListen = ["/ip4/10.0.0.5/tcp/7442", "/ip6/fd00::5/tcp/7442", "/dns4/a.example/tcp/1"];

test("bulk sockets are beside the swarm's addresses unless something else is said", () => {
  expect(bulkConfigOf({ swarmListen, bulkEncrypted: true })).toEqual({
    listen: ["/ip4/10.0.0.5/tcp/0", "/ip6/fd00::5/tcp/0"],
    isEncrypted: true,
  });
  expect(bulkConfigOf({ swarmListen, bulkListen: [], bulkEncrypted: false })).toEqual({
    listen: [],
    isEncrypted: false,
  });
});

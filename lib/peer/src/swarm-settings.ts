// What every member of the swarm is told about its sockets, host agents and seeders alike.
import { multiaddr } from "@shoal/api/names";
import { z } from "zod";

/** Part of the configuration of a process with a swarm node. */
export const swarmSettings = {
  swarmListen: z
    .array(multiaddr)
    .min(1)
    .default(["/ip4/127.0.0.1/tcp/0"])
    .describe("multiaddrs to listen on for peers"),
  bulkListen: z
    .array(multiaddr)
    .max(16)
    .optional()
    .describe(
      "multiaddrs of TCP to listen on for bulk sockets; a free port beside each of swarmListen when absent; empty: chunks go over swarmListen",
    ),
  bulkAdvertised: z
    .array(multiaddr)
    .max(16)
    .optional()
    .describe("what peers are told of bulkListen, when it differs; with /tls behind, if encrypted"),
  bulkEncrypted: z
    .boolean()
    .default(true)
    .describe("encrypt bulk sockets; false only where you trust the wire, and on all hosts"),
};

import { createKey } from "@shoal/trust/key-file";
import { readConfig } from "@shoal/daemon/config";
import { ShoalError } from "@shoal/core/error";
import { expect, test } from "vitest";
import { checkedAgentConfig, type AgentConfig } from "./config.ts";

const { peerId, publicKey } = createKey();
const rootPublicKey = publicKey.toBase64({ alphabet: "base64url", omitPadding: true });
const needed = [
  ...["--region", "north", "--state-dir", "/var/lib/shoal", "--trust-file", "/etc/shoal/trust"],
  ...["--root-public-key", rootPublicKey],
];

function read(argv: readonly string[]): AgentConfig {
  return readConfig(checkedAgentConfig, { argv, environment: {} });
}

test("seeders are an address and a peer id each", () => {
  const { seeders, stopProgramsOnExit, portFirst } = read([
    ...needed,
    "--seeders",
    `https://10.0.0.1:7441#${peerId},https://[::1]:7441#${peerId}`,
  ]);
  expect(seeders).toEqual([
    { url: "https://10.0.0.1:7441", peerId },
    { url: "https://[::1]:7441", peerId },
  ]);
  expect({ stopProgramsOnExit, portFirst }).toEqual({
    stopProgramsOnExit: false,
    portFirst: 20_000,
  });
});

test.for([
  ["a seeder without a peer id", ["--seeders", "https://10.0.0.1:7441"], "seeders"],
  ["a seeder with something else", ["--seeders", "https://10.0.0.1:7441#me"], "seeders"],
  [
    "ports the wrong way round",
    ["--seeders", `https://h:1#${peerId}`, "--port-first", "3000", "--port-last", "2000"],
    "port-last",
  ],
  ["nothing to ask", [], "seeders"],
] as const)("refuses %s", ([, argv, named]) => {
  let found: unknown;
  try {
    read([...needed, ...argv]);
  } catch (error) {
    found = error;
  }
  expect(found).toBeInstanceOf(ShoalError);
  expect(String(found)).toContain(`--${named}`);
});

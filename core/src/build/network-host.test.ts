import { expect, test } from "vitest";
import { coversHost, parseNetworkHost } from "./network-host.ts";

const list = ["registry.example.org", "10.0.0.7:8080", "[::1]:4873"].flatMap(
  (text) => parseNetworkHost(text) ?? [],
);

test.for([
  ["registry.example.org", 443, true],
  ["registry.example.org", 80, true],
  ["Registry.Example.ORG.", 443, true],
  ["registry.example.org", 22, false],
  ["example.org", 443, false],
  ["evil-registry.example.org", 443, false],
  ["registry.example.org.evil.example", 443, false],
  ["10.0.0.7", 8080, true],
  ["10.0.0.7", 443, false],
  ["[::1]", 4873, true],
] as const)("covers %s port %d: %s", ([name, port, covered]) => {
  expect(coversHost(list, name, port)).toBe(covered);
});

test.for([
  "",
  "-a",
  "a..b",
  ".a",
  "a.",
  "UPPER.example",
  "https://a.example",
  "a.example/x",
  "a b",
  "a:0",
  "a:65536",
  "a:",
  "*.example.org",
  "user@a.example",
  `${"a".repeat(64)}.example`,
])("refuses %j as a host", (text) => {
  expect(parseNetworkHost(text)).toBeNull();
});

import { describe, expect, test } from "vitest";
import { runSpec } from "@shoal/api/release";
import { parseHealth, parseLabels, parsePrepare, parseRun } from "./service-words.ts";

describe("the words of a service", () => {
  test.for([
    ["http://127.0.0.1/health", "/health", "auto"],
    ["http://localhost:$PORT/ready?deep=1", "/ready?deep=1", "auto"],
    ["http://localhost:${PORT}/", "/", "auto"],
    ["http://localhost:8080/health", "/health", 8080],
  ] as const)("reads %s as a check of the program's own port", ([text, path, port]) => {
    const parsed = runSpec.parse({
      ...parseRun("node server.mjs"),
      ...parseHealth(text, undefined, undefined),
    });
    expect(parsed.health).toMatchObject({ type: "http", path });
    expect(parsed.port).toBe(port);
  });

  test("takes anything that is no URL as a command for sh", () => {
    const parsed = runSpec.parse({
      ...parseRun(undefined),
      ...parseHealth("./lua -v", undefined, undefined),
    });
    expect(parsed.command).toEqual([]);
    expect(parsed.health).toMatchObject({
      type: "command",
      command: ["/bin/sh", "-c", "./lua -v"],
    });
  });

  test("lets --port win over the port in the URL", () => {
    expect(parseHealth("http://localhost:8080/health", "9090", undefined).port).toBe(9090);
  });

  test("gives a port to a command that names it", () => {
    expect(parseHealth("nc -z 127.0.0.1 $PORT", undefined, "exec ./serve").port).toBe("auto");
    expect(parseHealth("true", undefined, `exec ./serve --port "\${PORT}"`).port).toBe("auto");
    expect(parseHealth(undefined, undefined, "exec ./serve $PORT").port).toBe("auto");
    expect(parseHealth("true", undefined, "exec ./serve $PORTAL").port).toBeNull();
    expect(parseHealth("true", "8080", "exec ./serve $PORT").port).toBe(8080);
  });

  test("refuses a port that is none and a label without a value", () => {
    expect(() => parseHealth(undefined, "http", undefined)).toThrow(/port number/);
    expect(() => parseHealth(undefined, "0", undefined)).toThrow(/port number/);
    expect(() => parseLabels(["zone"])).toThrow(/label=value/);
    expect(parseLabels(["zone=a", "note=x=y"])).toEqual({ zone: "a", note: "x=y" });
  });

  test("refuses hosts and lock files without a command that they are for", () => {
    expect(parsePrepare(undefined, [], [])).toBeNull();
    expect(parsePrepare("npm ci", ["a.example"], [])).toEqual({
      command: "npm ci",
      hosts: ["a.example"],
      lockFiles: [],
    });
    for (const [hosts, lockFiles] of [
      [["a.example"], []],
      [[], ["go.sum"]],
    ] as const) {
      expect(() => parsePrepare(undefined, hosts, lockFiles)).toThrow("need --prepare");
    }
  });
});

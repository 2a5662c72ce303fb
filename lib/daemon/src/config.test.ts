import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ShoalError } from "@shoal/core/error";
import { afterAll, describe, expect, test } from "vitest";
import { z } from "zod";
import { readConfig, readDaemonSettings } from "./config.ts";

const dir = mkdtempSync(join(tmpdir(), "shoal-config-"));
afterAll(() => rmSync(dir, { recursive: true }));

const schema = z.strictObject({
  controlPlaneUrl: z.url().describe("Where the control plane listens."),
  port: z.int().min(0).max(65_535).default(0),
  share: z.number().nullable().default(null),
  verbose: z.boolean().default(false),
  zones: z.array(z.string()).default([]),
  weights: z.array(z.int()).optional(),
  labels: z.record(z.string(), z.string()).default({}),
  health: z.union([z.int(), z.literal("auto")]).default("auto"),
});
const url = "http://127.0.0.1:1/";

function read(argv: readonly string[], environment: Record<string, string> = {}) {
  return readConfig(schema, { argv, environment });
}

function faultsOf(argv: readonly string[], environment: Record<string, string> = {}): unknown {
  try {
    return read(argv, environment);
  } catch (error) {
    if (!(error instanceof ShoalError)) throw error;
    expect(error.code).toBe("config_invalid");
    return error.details["faults"];
  }
}

function file(name: string, text: string): string {
  const path = join(dir, name);
  writeFileSync(path, text);
  return path;
}

describe("configuration", () => {
  test("takes a flag before a variable, that before a variable's file, that before the config file", () => {
    const config = file("order.json", JSON.stringify({ controlPlaneUrl: "http://file/", port: 1 }));
    const secret = file("secret", "http://secret/\n");
    const flag = ["--control-plane-url", "http://flag/"];
    const variable = { SHOAL_CONTROL_PLANE_URL: "http://variable/" };
    const variableFile = { SHOAL_CONTROL_PLANE_URL_FILE: secret };
    const from = ["--config", config];
    const urlOf = (argv: string[], environment: Record<string, string>) =>
      read([...from, ...argv], environment).controlPlaneUrl;
    expect(urlOf(flag, { ...variable, ...variableFile })).toBe("http://flag/");
    expect(urlOf([], { ...variable, ...variableFile })).toBe("http://variable/");
    expect(urlOf([], variableFile)).toBe("http://secret/");
    expect(urlOf([], {})).toBe("http://file/");
    expect(read([], { SHOAL_CONFIG: config }).port).toBe(1);
  });

  test.for([
    ["a number", ["--port", "80"], { port: 80 }],
    ["a number that may be null", ["--share=0.5"], { share: 0.5 }],
    ["a flag alone as true", ["--verbose"], { verbose: true }],
    ["a negated flag as false", ["--no-verbose"], { verbose: false }],
    ["a boolean with a value", ["--verbose=true"], { verbose: true }],
    ["a comma list", ["--zones", "a, b,,c"], { zones: ["a", "b", "c"] }],
    ["a repeated list flag", ["--zones", "a", "--zones=b"], { zones: ["a", "b"] }],
    ["an empty list", ["--zones="], { zones: [] }],
    ["a list of numbers", ["--weights", "1,2"], { weights: [1, 2] }],
    ["pairs", ["--labels", "rack=a,role=web"], { labels: { rack: "a", role: "web" } }],
    ["a record as JSON", ["--labels", '{"a":"b=c"}'], { labels: { a: "b=c" } }],
    ["a union's number", ["--health", "7"], { health: 7 }],
    ["a union's word", ["--health", "auto"], { health: "auto" }],
    [
      "a value with an equals sign",
      ["--control-plane-url=http://x/?a=b"],
      { controlPlaneUrl: "http://x/?a=b" },
    ],
  ] as const)("reads %s by the schema's type", ([, argv, expected]) => {
    expect(read(argv, { SHOAL_CONTROL_PLANE_URL: url })).toMatchObject(expected);
  });

  test("counts an empty variable as unset, and leaves other SHOAL_ variables alone", () => {
    const environment = {
      SHOAL_CONTROL_PLANE_URL: url,
      SHOAL_PORT: "",
      SHOAL_SEEDER_PORT: "tcp://x",
    };
    expect(read([], environment).port).toBe(0);
  });

  test("names everything that is wrong at once, and no value", () => {
    const environment = { SHOAL_PORT: "hunter2", SHOAL_ZONES_FILE: join(dir, "nowhere") };
    const faults = faultsOf(["--nope", "--verbose=perhaps", "stray", "--share"], environment);
    expect(faults).toEqual([
      "--nope: unknown",
      "an argument without a flag: unknown",
      "--share: needs a value",
      expect.stringMatching(/^SHOAL_ZONES_FILE: the file can't be read/),
      "--control-plane-url (SHOAL_CONTROL_PLANE_URL): is required",
      expect.stringMatching(/^--port \(SHOAL_PORT\): .*number/),
      expect.stringMatching(/^--verbose \(SHOAL_VERBOSE\): .*boolean/),
    ]);
    expect(JSON.stringify(faults)).not.toMatch(/hunter2|perhaps/);
  });

  test.for([
    ["a flag given twice", ["--port=1", "--port=2"], /--port: given more than once/],
    ["a number with a unit", ["--port=80x"], /--port/],
    ["a number in hexadecimal", ["--port=0x50"], /--port/],
    ["a file that isn't there", ["--config", join(dir, "none.json")], /--config/],
    ["a file that isn't an object", ["--config", file("list.json", "[1]")], /isn't a JSON object/],
    [
      "an unknown key in a file",
      ["--config", file("odd.json", '{"prot":1}')],
      /unknown key "prot"/,
    ],
    [
      "a file that is too large",
      ["--config", file("big.json", " ".repeat(2 ** 20 + 1))],
      /--config/,
    ],
    ["a wrong type in a file", ["--config", file("type.json", '{"port":"1"}')], /--port/],
    ["a negated flag that isn't boolean", ["--no-port"], /--no-port: unknown/],
    ["a list item of a wrong type", ["--weights=1,x"], /--weights \(SHOAL_WEIGHTS\)\.1/],
  ] as const)("refuses %s", ([, argv, fault]) => {
    expect(faultsOf(argv, { SHOAL_CONTROL_PLANE_URL: url })).toEqual([
      expect.stringMatching(fault),
    ]);
  });

  test("prints every key with its variable, description and default", () => {
    try {
      read(["--port=x", "--help"]);
      expect.unreachable();
    } catch (error) {
      expect(error).toMatchObject({ code: "help_requested" });
      const { message } = error as Error;
      expect(message).toMatch(
        /--control-plane-url <text> +SHOAL_CONTROL_PLANE_URL +Where .* \(required\)/,
      );
      expect(message).toMatch(/--port <number> +SHOAL_PORT +\(default 0\)/);
      expect(message).toMatch(/--verbose +SHOAL_VERBOSE/);
      expect(message).toMatch(/--log-level/);
    }
  });

  test("of the process itself is the log level and whether to end with the parent", () => {
    const sources = { argv: ["--log-level=debug"], environment: { SHOAL_EXIT_WITH_PARENT: "1" } };
    expect(readDaemonSettings(sources)).toEqual({ logLevel: "debug", exitWithParent: true });
    const plain = { argv: [], environment: { SHOAL_LOG_LEVEL: "warn" } };
    expect(readDaemonSettings(plain)).toEqual({ logLevel: "warn", exitWithParent: false });
    expect(() => readDaemonSettings({ argv: ["--log-level"], environment: {} })).toThrow(
      /--log-level/,
    );
    expect(read(["--log-level", "debug"], { SHOAL_CONTROL_PLANE_URL: url }).port).toBe(0);
  });
});

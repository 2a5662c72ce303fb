// Scenario files: JSON with the fields of docs/SIMULATOR.md, each optional, none unknown.
import { readFileSync } from "node:fs";
import { ShoalError } from "@shoal/core/error";
import { artifactBytesMax, manifestBytesMax } from "@shoal/core/limits";
import { z } from "zod";
import type { Scenario } from "./scenario.ts";

const share = z.number().min(0).max(1);
const millis = z.number().min(0).max(1e9);
const rate = z.number().positive().max(1e6);

export const scenarioSchema = z.strictObject({
  seed: z.int().min(0).max(0xffff_ffff).optional(),
  hosts: z.int().min(1).max(100_000).optional(),
  zones: z.int().min(1).max(1000).optional(),
  zoneRttMs: millis.optional(),
  regionRttMs: millis.optional(),
  artifactBytes: z.int().min(1).max(artifactBytesMax).optional(),
  chunkBytes: z.int().min(1024).max(artifactBytesMax).optional(),
  reusedShare: share.optional(),
  mbit: rate.optional(),
  seeders: z.int().min(1).max(100).optional(),
  seederMbit: rate.optional(),
  diskBytesPerMs: rate.optional(),
  bucketMbit: rate.optional(),
  memoryBytes: z.int().min(1).max(artifactBytesMax).optional(),
  farMbit: z.number().min(0).max(1e6).optional(),
  joinMs: millis.optional(),
  slowShare: share.optional(),
  slowFactor: z.number().min(0.001).max(1).optional(),
  deathsPerMinute: z.number().min(0).max(1000).optional(),
  comeBackMs: millis.optional(),
  wipedShare: share.optional(),
  faultsEndMs: millis.optional(),
  deathNoticedMs: millis.optional(),
  lyingShare: share.optional(),
  silentShare: share.optional(),
  seedersDie: z.boolean().optional(),
  lanes: z.int().min(1).max(8).optional(),
  patienceMs: millis.optional(),
});

export type ScenarioFields = { -readonly [Field in keyof Scenario]?: Scenario[Field] };

/**
 * Reads a scenario file, or takes the scenario itself where the text begins with a brace;
 * `config_invalid` says everything that is wrong with it.
 */
export function readScenario(pathOrJson: string): ScenarioFields {
  const isJson = pathOrJson.startsWith("{");
  const path = isJson ? "scenario" : pathOrJson;
  const text = isJson ? pathOrJson : readFileSync(path, "utf8");
  const wrong = (message: string): ShoalError =>
    new ShoalError("config_invalid", `${path}: ${message}`, { blame: "local" });
  if (text.length > manifestBytesMax) throw wrong("too long for a scenario");
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw wrong(String(error));
  }
  const parsed = scenarioSchema.safeParse(value);
  if (!parsed.success) throw wrong(z.prettifyError(parsed.error));
  const fields: Record<string, unknown> = {};
  for (const [name, given] of Object.entries(parsed.data)) {
    if (given !== undefined) fields[name] = given;
  }
  return fields;
}

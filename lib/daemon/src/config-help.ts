// Names of configuration keys on the outside, and the text of `--help`.
import type { z } from "zod";
import { baseOf, definitionOf } from "./config-values.ts";

/** `controlPlaneUrl` → `--control-plane-url`. */
export function flagName(key: string): string {
  return `--${words(key).join("-")}`;
}

/** `controlPlaneUrl` → `SHOAL_CONTROL_PLANE_URL`. */
export function environmentName(key: string): string {
  return `SHOAL_${words(key).join("_").toUpperCase()}`;
}

/** One line a key: flag, kind of value, variable, description and default. */
export function describeConfig(schema: z.ZodObject): string {
  const rows = Object.entries(schema.shape).map(([key, type]) => [
    `${flagName(key)} ${kindOf(type)}`.trimEnd(),
    environmentName(key),
    [descriptionOf(type), defaultOf(type)].filter((text) => text !== "").join(" "),
  ]);
  rows.push(
    ["--config <file>", "SHOAL_CONFIG", "JSON file with the keys in camelCase."],
    [
      "--log-level <text>",
      "SHOAL_LOG_LEVEL",
      "fatal, error, warn, info, debug, trace or silent. (default info)",
    ],
    ["--help", "", "Prints this."],
  );
  const widths = [0, 1].map((column) => Math.max(...rows.map((row) => (row[column] ?? "").length)));
  const lines = rows.map(([flag = "", variable = "", text = ""]) =>
    `  ${flag.padEnd(widths[0] ?? 0)}  ${variable.padEnd(widths[1] ?? 0)}  ${text}`.trimEnd(),
  );
  return [
    ...lines,
    "",
    "  A variable with _FILE behind its name gives the path of a file that holds the value.",
  ].join("\n");
}

function words(key: string): string[] {
  return key
    .replaceAll(/([a-z0-9])([A-Z])/g, "$1 $2")
    .toLowerCase()
    .split(" ");
}

function kindOf(type: z.core.$ZodType): string {
  const kind = definitionOf(baseOf(type)).type;
  if (kind === "boolean") return "";
  if (kind === "number" || kind === "int") return "<number>";
  if (kind === "array") return "<a,b,…>";
  if (kind === "record") return "<a=b,c=d>";
  return "<text>";
}

/** A description may sit on any of the wrappers, as `describe` was called before or after `default`. */
function descriptionOf(type: z.core.$ZodType): string {
  const own = "description" in type && typeof type.description === "string" ? type.description : "";
  const def = definitionOf(type);
  return own === "" && "innerType" in def ? descriptionOf(def.innerType as z.core.$ZodType) : own;
}

function defaultOf(type: z.core.$ZodType): string {
  const def = definitionOf(type);
  if ("defaultValue" in def) return `(default ${JSON.stringify(def.defaultValue)})`;
  if (def.type === "optional" || def.type === "nullable") return "(optional)";
  return "(required)";
}

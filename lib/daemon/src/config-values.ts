// Text from flags and variables to the values that a schema's type calls for. It only converts;
// whether a value is right is for the schema to say, so text that doesn't convert is passed on.
import { z } from "zod";

/** What was given for one key: several for a repeated list flag. */
export type ConfigText = readonly string[];

/** Converts to number, boolean, list (comma-separated), record (`a=b,c=d`) or JSON object by the schema's type. */
export function coerceText(schema: z.core.$ZodType, text: ConfigText): unknown {
  const def = definitionOf(baseOf(schema));
  if (isListDef(def)) {
    const items = text.flatMap((part) => part.split(",")).map((part) => part.trim());
    return items.filter((item) => item !== "").map((item) => coerceText(def.element, [item]));
  }
  const value = text.at(-1) ?? "";
  switch (def.type) {
    case "number":
    case "int":
      return /^-?\d+(?:\.\d+)?$/.test(value) ? Number(value) : value;
    case "boolean":
      return booleanOf(value) ?? value;
    case "record":
      return value.startsWith("{") ? (jsonOf(value) ?? value) : pairsOf(value);
    case "object":
      return jsonOf(value) ?? value;
    case "union":
      return coerceUnion((def as z.core.$ZodUnionDef).options, value);
    default:
      return value;
  }
}

export function isBooleanSchema(schema: z.core.$ZodType): boolean {
  return definitionOf(baseOf(schema)).type === "boolean";
}

export function isListSchema(schema: z.core.$ZodType): boolean {
  return isListDef(definitionOf(baseOf(schema)));
}

/** What a schema consists of: `def` is zod's documented way to look into one. */
export function definitionOf(schema: z.core.$ZodType): z.core.$ZodTypeDef {
  return (schema as z.ZodType).def;
}

/** The type below optional, default, nullable, readonly and the like; a pipe is read by what it takes. */
export function baseOf(schema: z.core.$ZodType): z.core.$ZodType {
  const def = definitionOf(schema);
  if ("innerType" in def) return baseOf(def.innerType as z.core.$ZodType);
  if (def.type !== "pipe") return schema;
  const { in: input, out } = def as z.core.$ZodPipeDef;
  return baseOf(definitionOf(input).type === "transform" ? out : input);
}

function isListDef(def: z.core.$ZodTypeDef): def is z.core.$ZodArrayDef {
  return def.type === "array";
}

function coerceUnion(options: readonly z.core.$ZodType[], value: string): unknown {
  for (const option of options) {
    const candidate = coerceText(option, [value]);
    if (z.safeParse(option, candidate).success) return candidate;
  }
  return value;
}

function booleanOf(value: string): boolean | undefined {
  if (value === "true" || value === "1") return true;
  if (value === "false" || value === "0") return false;
  return undefined;
}

function jsonOf(value: string): unknown {
  try {
    return JSON.parse(value);
  } catch {
    return undefined; // The schema then refuses the text.
  }
}

function pairsOf(value: string): unknown {
  const pairs: [string, string][] = [];
  for (const part of value.split(",").filter((text) => text !== "")) {
    const equals = part.indexOf("=");
    if (equals < 1) return value;
    pairs.push([part.slice(0, equals).trim(), part.slice(equals + 1).trim()]);
  }
  return Object.fromEntries(pairs);
}

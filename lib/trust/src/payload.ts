// From verified bytes to a checked document, and back.
import { remoteError } from "@shoal/core/error";
import type { z } from "zod";

export function encodePayload(document: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(document));
}

/** Strict UTF-8, JSON, then the schema; throws `code` with the first faults, and nothing else. */
export function decodePayload<Schema extends z.ZodType>(
  bytes: Uint8Array,
  schema: Schema,
  code: string,
): z.output<Schema> {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes));
  } catch {
    throw remoteError(code, "the payload isn't JSON in UTF-8");
  }
  return checkClaims(value, schema, code);
}

export function checkClaims<Schema extends z.ZodType>(
  value: unknown,
  schema: Schema,
  code: string,
): z.output<Schema> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const faults = parsed.error.issues.slice(0, 5);
  const text = faults.map(({ path, message }) => `${path.join(".")}: ${message}`).join("; ");
  throw remoteError(code, text);
}

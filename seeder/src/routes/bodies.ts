// Bodies and parameters, read under a limit and decoded strictly before anything believes them.
import { artifactCid } from "@shoal/api/names";
import { digestBytes } from "@shoal/core/digest";
import { ShoalError, remoteError } from "@shoal/core/error";
import type { ArtifactCid } from "@shoal/core/ids";
import { chunkHashesPerRequestMax, jsonBodyBytesMax } from "@shoal/core/limits";
import type { Context } from "hono";
import type { z } from "zod";

/** The whole body. Throws `body_too_large` as soon as it is. */
export async function readBody(context: Context, bytesMax: number): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let total = 0;
  for await (const part of bodyParts(context)) {
    total += part.length;
    if (total > bytesMax)
      throw new ShoalError("body_too_large", `The body is larger than ${bytesMax} bytes.`, {
        blame: "remote",
      });
    parts.push(part);
  }
  return Buffer.concat(parts, total);
}

/** The body as it arrives. */
export function bodyParts(context: Context): AsyncIterable<Uint8Array> | readonly Uint8Array[] {
  return context.req.raw.body ?? [];
}

export async function readJson<Schema extends z.ZodType>(
  context: Context,
  schema: Schema,
  bytesMax: number = jsonBodyBytesMax,
): Promise<z.output<Schema>> {
  const bytes = await readBody(context, bytesMax);
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    throw remoteError("invalid_input", "The body isn't JSON.");
  }
  return check(schema, value);
}

/** A list of chunk hashes, 32 bytes each. */
export async function readHashes(context: Context): Promise<Uint8Array> {
  const bytes = await readBody(context, chunkHashesPerRequestMax * digestBytes);
  if (bytes.length % digestBytes !== 0)
    throw remoteError("invalid_input", "The body isn't a list of hashes.");
  return bytes;
}

export function readQuery<Schema extends z.ZodType>(
  context: Context,
  schema: Schema,
): z.output<Schema> {
  return check(schema, context.req.query());
}

export function readCid(context: Context): ArtifactCid {
  return check(artifactCid, context.req.param("cid"));
}

function check<Schema extends z.ZodType>(schema: Schema, value: unknown): z.output<Schema> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issues = parsed.error.issues.map((issue) => ({
    path: issue.path.join("."),
    message: issue.message,
  }));
  throw remoteError("invalid_input", "The request isn't as this call wants it.", { issues });
}

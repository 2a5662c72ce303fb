// An answer's body, read whole under a limit, and as JSON. Shared by the clients of control plane and seeders.
import { remoteError } from "@shoal/core/error";

/** The whole body. Throws `answer_too_large` as soon as more than `bytesMax` have come. */
export async function readBounded(response: Response, bytesMax: number): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let total = 0;
  for await (const part of response.body ?? []) {
    total += part.length;
    if (total > bytesMax)
      throw remoteError("answer_too_large", `The answer is larger than ${bytesMax} bytes.`);
    parts.push(part);
  }
  return Buffer.concat(parts, total);
}

/** Undefined for what isn't JSON: no answer of ours, as the schema check that follows says. */
export function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    return undefined;
  }
}

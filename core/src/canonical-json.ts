// JSON with one spelling for each value, for hashing: keys sorted by UTF-16 code units, no spaces,
// numbers and strings as JSON.stringify writes them (RFC 8785). Values that JSON would drop or
// change are a mistake of ours.
import { ShoalError } from "./error.ts";

/** Throws `assertion_failed` for undefined, functions, NaN, infinities and other things JSON has no word for. */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(",")}]`;
  if (typeof value === "object" && value !== null) {
    const fields = Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1));
    const texts = fields.map(([key, field]) => `${JSON.stringify(key)}:${canonicalJson(field)}`);
    return `{${texts.join(",")}}`;
  }
  const isPlain =
    value === null ||
    typeof value === "string" ||
    typeof value === "boolean" ||
    Number.isFinite(value);
  if (!isPlain) {
    throw new ShoalError("assertion_failed", "a value that JSON has no word for", {
      blame: "local",
    });
  }
  return JSON.stringify(value);
}

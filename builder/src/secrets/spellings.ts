// The ways in which a secret is likely to be printed: as it is, line by line, and as the encodings that
// headers, URLs and JSON put it in. Programs that are out to leak it can always invent another one; this
// is for accidents.
import { isUtf8 } from "node:buffer";
import { secretBytesMin } from "@shoal/core/limits";

/** What to look for; nothing shorter than `secretBytesMin`. Space around a text isn't part of the secret. */
export function spellingsOf(secret: Uint8Array): readonly Uint8Array[] {
  const spellings = isUtf8(secret) ? ofText(Buffer.from(secret).toString("utf8").trim()) : [];
  const bytes = spellings[0] ?? Buffer.from(secret);
  const all = [bytes, ...spellings, ...base64Within(bytes).map((text) => Buffer.from(text))];
  const unique = new Map(all.map((spelling) => [spelling.toString("latin1"), spelling]));
  return [...unique.values()].filter(({ length }) => length >= secretBytesMin);
}

function ofText(text: string): readonly Buffer[] {
  return [
    text,
    // A key in PEM is often shown with other ends of lines, or indented.
    ...text.split("\n").map((line) => line.trim()),
    JSON.stringify(text).slice(1, -1),
    encodeURIComponent(text),
  ].map((spelling) => Buffer.from(spelling));
}

/**
 * The characters that the bytes make in base64, wherever in a longer text they begin (as in
 * `user:secret`): three alignments, without the characters that their neighbors have a part in.
 */
function base64Within(bytes: Buffer): readonly string[] {
  return [0, 1, 2].flatMap((before) => {
    const encoded = Buffer.concat([Buffer.alloc(before), bytes]).toString("base64url");
    const begin = Math.ceil((before * 8) / 6);
    const end = Math.floor(((before + bytes.length) * 8) / 6);
    const own = encoded.slice(begin, end);
    return [own, own.replaceAll("-", "+").replaceAll("_", "/")];
  });
}

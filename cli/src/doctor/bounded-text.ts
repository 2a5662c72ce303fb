// Reads a small text file, never more than a bound of it: what lies at a path is not known before.
import { open } from "node:fs/promises";
import { mebibyte } from "@shoal/core/units";

/** The first mebibyte of a file; files of /proc, which have no size, too. */
export async function boundedText(path: string): Promise<string> {
  const file = await open(path, "r");
  try {
    const buffer = Buffer.alloc(mebibyte);
    let bytes = 0;
    for (;;) {
      const { bytesRead } = await file.read(buffer, bytes, buffer.length - bytes);
      bytes += bytesRead;
      if (bytesRead === 0 || bytes === buffer.length) return buffer.toString("utf8", 0, bytes);
    }
  } finally {
    await file.close();
  }
}

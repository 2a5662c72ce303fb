// How far this control plane has seen the database get, in a file beside the database: what is in a
// restored backup can't say that something is missing.
import { mkdir } from "node:fs/promises";
import { dirname } from "node:path";
import { StateFile } from "@shoal/daemon/atomic-file";
import { z } from "zod";
import type { WatermarkFile } from "./operations/adopt-database.ts";

const watermark = z.strictObject({ server: z.string(), logBytes: z.int().nonnegative() });
const bytesMax = 4096;

export function watermarkFile(path: string): WatermarkFile {
  const file = new StateFile(path, bytesMax);
  return {
    read: async () => {
      const bytes = await file.read();
      if (bytes === undefined) return null;
      try {
        return watermark.parse(JSON.parse(Buffer.from(bytes).toString("utf8")));
      } catch {
        // A file that can't be read proves nothing: the next change of server counts as a restore.
        return null;
      }
    },
    write: async (mark) => {
      await mkdir(dirname(path), { recursive: true });
      await file.write(JSON.stringify(mark));
    },
  };
}

// The greeter is well when every voice of the catalog is on disk in its full size.
import { stat } from "node:fs/promises";

/** The names of voices that are missing or cut short; none when all is well. */
export async function missingVoices(catalog, folder) {
  const missing = [];
  for (const { voice, voiceBytes } of Object.values(catalog.languages)) {
    const file = await stat(new URL(voice, folder)).catch(() => null);
    if (file?.size !== voiceBytes) missing.push(voice);
  }
  return missing;
}

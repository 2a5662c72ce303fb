// What a service's machine must remember over a restart of the agent: which release failed here, and
// which ones have proven themselves.
import { releaseId } from "@shoal/api/names";
import type { DurableActivation } from "@shoal/core/activation/activation-events";
import type { StateFile } from "@shoal/daemon/atomic-file";
import { z } from "zod";

const recordFile = z.strictObject({
  format: z.literal("shoal.activation/v1"),
  failed: z
    .strictObject({
      rollout: z.int().nullable(),
      release: releaseId,
      code: z.string(),
      message: z.string(),
    })
    .nullable(),
  /** A goal names six releases at most. */
  proven: z.array(releaseId).max(6).readonly(),
});

export class ActivationRecord {
  readonly #file: StateFile;

  constructor(file: StateFile) {
    this.#file = file;
  }

  /** A record that can't be read is as good as none: a failed release is tried once more. */
  async read(): Promise<DurableActivation> {
    const bytes = await this.#file.read();
    try {
      if (bytes !== undefined) {
        const { failed, proven } = recordFile.parse(JSON.parse(new TextDecoder().decode(bytes)));
        return { failed, proven };
      }
    } catch {
      // As if there were none.
    }
    return { failed: null, proven: [] };
  }

  async write({ failed, proven }: DurableActivation): Promise<void> {
    await this.#file.write(JSON.stringify({ format: "shoal.activation/v1", failed, proven }));
  }
}

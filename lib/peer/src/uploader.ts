// Answers requests: reads runs of chunks and sends them on the lane that was asked for, reading one run
// ahead of the one that is being sent.
import { chunkBytesMax, uploadBytesMax } from "@shoal/core/limits";
import type { LinkId, UploadOrder } from "@shoal/core/swarm/events";
import type { Log } from "@shoal/daemon/log";
import type { Bytes } from "@shoal/core/units";
import { dataHeadBytes, encodeDataHead } from "@shoal/core/wire/data-frames";
import type { Budgets } from "./budgets.ts";
import type { ChunkLane } from "./chunk-lane.ts";
import type { SwarmMembership } from "./membership.ts";
import type { PeerLink } from "./peer-link.ts";
import type { Traffic } from "./traffic.ts";

export type UploadOutcome = "sent" | "stopped" | "unreadable";

export interface UploaderDeps {
  readonly log: Log;
  readonly budgets: Budgets;
  readonly traffic: Traffic;
}

interface Run {
  readonly frame: Uint8Array;
  readonly end: number;
}

export class Uploader {
  readonly #log: Log;
  readonly #budgets: Budgets;
  readonly #traffic: Traffic;
  /** Uploads that are to end before their next run. */
  readonly #stopping: Set<string> = new Set();
  #activeCount = 0;

  constructor({ log, budgets, traffic }: UploaderDeps) {
    this.#log = log;
    this.#budgets = budgets;
    this.#traffic = traffic;
  }

  stop(link: LinkId, request: number): void {
    this.#stopping.add(keyOf(link, request));
  }

  /** One run is read while another is sent; and half is left for uploads that begin while these still have long ones. */
  get #share(): Bytes {
    return Math.max(chunkBytesMax, uploadBytesMax / (4 * this.#activeCount));
  }

  /** Never rejects. */
  async upload(
    order: UploadOrder,
    link: PeerLink | undefined,
    membership: SwarmMembership | undefined,
  ): Promise<UploadOutcome> {
    const { request } = order;
    const key = keyOf(order.link, request);
    const lane = link?.laneOf(request);
    this.#activeCount += 1;
    try {
      if (link === undefined || membership === undefined || lane === undefined) return "stopped";
      const isStopped = (): boolean => this.#stopping.has(key) || membership.hasLeft;
      return await this.#send(order, { link, membership, lane, isStopped });
    } finally {
      this.#activeCount -= 1;
      this.#stopping.delete(key);
    }
  }

  async #send(
    { request, firstChunk, count }: UploadOrder,
    to: {
      readonly link: PeerLink;
      readonly membership: SwarmMembership;
      readonly lane: ChunkLane;
      readonly isStopped: () => boolean;
    },
  ): Promise<UploadOutcome> {
    const { link, membership, lane, isStopped } = to;
    const end = firstChunk + count;
    const read = (from: number): Promise<Run> => {
      const bytesMax = Math.min(lane.runBytesMax, this.#budgets.uploadRunBytesMax, this.#share);
      return readRun(membership, { lane, bytesMax }, request, from, end);
    };
    let ahead: Promise<Run> | undefined = read(firstChunk);
    while (ahead !== undefined) {
      let run: Run;
      try {
        run = await ahead;
      } catch (error) {
        this.#log.error({ error, artifact: membership.cid, request }, "chunk unreadable");
        return "unreadable";
      }
      await this.#budgets.mayUpload(membership.slot, membership.priority, run.frame.length);
      if (isStopped()) return "stopped";
      ahead = run.end < end ? read(run.end) : undefined;
      ahead?.catch(() => undefined);
      try {
        const bytes = run.frame.length - dataHeadBytes;
        await lane.send(run.frame);
        this.#traffic.sent(bytes);
      } catch (error) {
        link.laneFailed(lane, error);
        return "stopped";
      }
    }
    return "sent";
  }
}

/** As many chunks from `from` on as one frame of the lane takes. */
async function readRun(
  membership: SwarmMembership,
  { lane, bytesMax }: { readonly lane: ChunkLane; readonly bytesMax: number },
  request: number,
  from: number,
  end: number,
): Promise<Run> {
  const { chunkBytes } = membership.manifest;
  let bytes = chunkBytes[from] ?? 0;
  let next = from + 1;
  while (next < end && bytes + (chunkBytes[next] ?? 0) <= bytesMax) {
    bytes += chunkBytes[next] ?? 0;
    next += 1;
  }
  const frame = lane.frame(bytes);
  encodeDataHead({ request, chunk: from, length: bytes }, frame);
  await membership.read(from, next - from, frame.subarray(dataHeadBytes));
  return { frame, end: next };
}

function keyOf(link: LinkId, request: number): string {
  return `${link}/${request}`;
}

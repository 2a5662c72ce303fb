// The muxer of links: yamux without what it says for its own sake. The library pings each connection
// every 30 s, and answers every frame with another one that opens the window again: of two frames, one
// would be a message. Here a window is opened again when a good part of it is used up. Both sides
// begin with the same window, so a sender that waits has sent more than is held back.
import { yamux } from "@chainsafe/libp2p-yamux";
import type { MessageStream, StreamMuxer, StreamMuxerFactory } from "@libp2p/interface";
import { assert } from "@shoal/core/error";
import { streamWindowBytesMax } from "@shoal/core/limits";
import type { Bytes } from "@shoal/core/units";

type StreamOptions = NonNullable<NonNullable<Parameters<typeof yamux>[0]>["streamOptions"]>;

/** What yamux's frames are made of, as far as it matters here. */
interface Header {
  readonly type: number;
  readonly flag: number;
  readonly streamID: number;
  readonly length: number;
}
type SendFrame = (header: Header, data?: unknown) => boolean;

const windowUpdate = 1;
/** Streams of a connection, each way. */
const streamsMax = 32;
const heldBackMax: Bytes = streamWindowBytesMax / 4;

export function quietYamux(streamOptions: StreamOptions): StreamMuxerFactory {
  const bounds = { maxInboundStreams: streamsMax, maxOutboundStreams: streamsMax };
  const factory = yamux({ streamOptions, ...bounds, enableKeepAlive: false })();
  return {
    protocol: factory.protocol,
    createStreamMuxer: (connection: MessageStream) => quiet(factory.createStreamMuxer(connection)),
  };
}

/** Streams are given the muxer's `sendFrame` when they are made. */
function quiet(muxer: StreamMuxer): StreamMuxer {
  const sender = muxer as unknown as { sendFrame: SendFrame };
  assert(typeof sender.sendFrame === "function", "yamux sends by `sendFrame`");
  const send = sender.sendFrame.bind(muxer);
  const heldBack = new Map<number, Bytes>();
  sender.sendFrame = (header, data) => {
    const { type, flag, streamID, length } = header;
    if (type !== windowUpdate || flag !== 0) return send(header, data);
    const bytes = (heldBack.get(streamID) ?? 0) + length;
    if (bytes < heldBackMax) {
      heldBack.set(streamID, bytes);
      if (heldBack.size > streamsMax) forgetEnded(heldBack, muxer);
      return true;
    }
    heldBack.delete(streamID);
    return send({ ...header, length: bytes }, data);
  };
  return muxer;
}

function forgetEnded(heldBack: Map<number, Bytes>, muxer: StreamMuxer): void {
  const living = new Set(muxer.streams.map((stream) => (stream as { streamId?: number }).streamId));
  for (const id of heldBack.keys()) if (!living.has(id)) heldBack.delete(id);
}

// Control messages and the scheduler's vocabulary, one for one.
import type { ArtifactCid } from "@shoal/core/ids";
import type { ArtifactSlot, LinkId, SwarmInput, SwarmOutput } from "@shoal/core/swarm/events";
import type { ControlMessage } from "@shoal/core/wire/messages";

type ArtifactMessage = Exclude<ControlMessage, { type: "hello" | "lane" | "cancel" | "peers" }>;
type ArtifactSaying = Extract<
  SwarmOutput,
  { type: "join" | "leave" | "bitfield" | "haves" | "peers" }
>;

/** What the scheduler is told of a message. */
export function inputOf(
  message: ArtifactMessage,
  link: LinkId,
  artifact: ArtifactSlot,
): SwarmInput {
  switch (message.type) {
    case "join":
      return { type: "peerJoined", link, artifact };
    case "leave":
      return { type: "peerLeft", link, artifact };
    case "bitfield":
      return { type: "bitfieldReceived", link, artifact, pieces: message.pieces };
    case "haves": {
      const { pieces, count } = message;
      return { type: "havesReceived", link, artifact, pieces, count };
    }
    case "request": {
      const { request, firstChunk, count } = message;
      return { type: "requestReceived", link, artifact, request, firstChunk, count };
    }
  }
}

/** The message that carries out an order. */
export function messageOf(order: ArtifactSaying, artifact: ArtifactCid): ControlMessage {
  switch (order.type) {
    case "join":
    case "leave":
      return { type: order.type, artifact };
    case "bitfield":
      return { type: "bitfield", artifact, pieces: order.pieces };
    case "haves":
      return { type: "haves", artifact, pieces: order.pieces, count: order.count };
    case "peers":
      return { type: "peers", artifact, peers: order.peers };
  }
}

// The scheduler's events in the log of a process: what an operator should see at `info`, what points at
// somebody at `warn`, the rest at `debug`.
import type { SwarmLogEvent } from "@shoal/core/swarm/log-events";
import type { Log } from "@shoal/daemon/log";

export function logSwarmEvent(log: Log, { at: _at, ...event }: SwarmLogEvent): void {
  switch (event.type) {
    case "joined":
    case "left":
    case "completed":
      log.info(event, `artifact ${event.type}`);
      return;
    case "chunkRefused":
    case "requestsStalled":
    case "pieceWithdrawn":
      log.warn(event, event.type);
      return;
    case "peerDropped":
      if (event.reason === "badChunk" || event.reason === "protocol") log.warn(event, event.type);
      else log.debug(event, event.type);
      return;
    default:
      log.debug(event, event.type);
  }
}

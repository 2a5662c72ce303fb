// A port for a program that takes any: the one it had before if that is free, else a free one of the
// configured range, drawn at random so that two programs that start at once seldom draw the same. One
// that another program takes in between makes the start fail, and the next start draws anew.
import { createServer } from "node:net";
import { ShoalError } from "@shoal/core/error";

export interface PortRange {
  readonly first: number;
  readonly last: number;
}

const triesMax = 50;

/** Throws `no_free_port` when fifty draws found none. */
export async function findFreePort(
  range: PortRange,
  preferred: number | null,
  random: () => number,
): Promise<number> {
  const isInRange = preferred !== null && preferred >= range.first && preferred <= range.last;
  if (isInRange && (await isFree(preferred))) return preferred;
  for (let tries = 0; tries < triesMax; tries += 1) {
    const port = range.first + Math.floor(random() * (range.last - range.first + 1));
    if (await isFree(port)) return port;
  }
  throw new ShoalError(
    "no_free_port",
    `No free port was found from ${range.first} to ${range.last}.`,
    { blame: "environment", retryable: true },
  );
}

/** On any address: a program may listen on all of them, or on loopback alone. */
async function isFree(port: number): Promise<boolean> {
  return (await canListen(port, "0.0.0.0")) && canListen(port, "127.0.0.1");
}

function canListen(port: number, host: string): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen({ port, host, exclusive: true }, () => server.close(() => resolve(true)));
  });
}

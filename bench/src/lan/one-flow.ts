// What one TCP flow gets through between two machines of the test network: the rate that bounds are
// counted with, because it has the cost of headers and of the queue in it, and nothing of ours.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import type { Place } from "../swarm/swarm-fleet.ts";

const flowMs = 3000;
/** The first moments, in which the window grows and a full bucket is spent. */
const warmUpMs = 500;

const receiver = `
const server = require("node:net").createServer((socket) => {
  let bytes = 0, fromMs = 0, untilMs = 0, begunMs = performance.now();
  socket.on("data", (part) => {
    const now = performance.now();
    if (now - begunMs < ${warmUpMs}) { fromMs = now; return; }
    bytes += part.length;
    untilMs = now;
  });
  socket.on("end", () => { console.log(JSON.stringify({ bytes, ms: untilMs - fromMs })); process.exit(0); });
});
server.listen(0, process.argv[1], () => console.log(server.address().port));
`;
const sender = `
const part = Buffer.alloc(65536);
const socket = require("node:net").connect(Number(process.argv[2]), process.argv[1], () => {
  const untilMs = performance.now() + ${flowMs};
  const send = () => {
    while (performance.now() < untilMs) if (!socket.write(part)) { socket.once("drain", send); return; }
    socket.end();
  };
  send();
});
`;

/** Goodput in Mbit/s from one place to another. */
export async function measureOneFlow(from: Place, to: Place): Promise<number> {
  const receiving = startNode(to, receiver, to.address);
  const lines = createInterface({ input: receiving.stdout })[Symbol.asyncIterator]();
  const port = String((await lines.next()).value);
  const sending = startNode(from, sender, to.address, port);
  await once(sending, "exit");
  const { bytes, ms } = JSON.parse(String((await lines.next()).value)) as {
    readonly bytes: number;
    readonly ms: number;
  };
  return (bytes * 8) / 1000 / ms;
}

function startNode(place: Place, script: string, ...args: readonly string[]) {
  const [program, ...rest] = [...place.prefix, process.execPath];
  return spawn(program ?? process.execPath, [...rest, "-e", script, ...args], {
    stdio: ["ignore", "pipe", "inherit"],
  });
}

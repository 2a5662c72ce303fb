// A wire in front of a bulk port that a test can cut, block and mend: TCP is passed on as it is.
import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { once } from "node:events";

export class CuttableWire {
  readonly #server: Server = createServer((socket) => this.#pass(socket));
  readonly #sockets: Set<Socket> = new Set();
  readonly #farPort: number;
  #isBlocked = false;
  #port = 0;
  /** Bytes that came back from the port. */
  bytes = 0;

  /** Leads to a port of the loopback. */
  constructor(farPort: number) {
    this.#farPort = farPort;
  }

  get address(): string {
    return `/ip4/127.0.0.1/tcp/${this.#port}`;
  }

  /** Opens or mends it; it keeps its address. */
  async open(): Promise<void> {
    this.#isBlocked = false;
    this.#server.listen(this.#port, "127.0.0.1");
    await once(this.#server, "listening");
    this.#port = (this.#server.address() as AddressInfo).port;
  }

  /** Nobody can connect, and what was connected is gone. */
  cut(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  /** Nobody can connect, and on what is connected nothing passes. */
  block(): void {
    this.#server.close();
    this.#isBlocked = true;
    for (const socket of this.#sockets) socket.pause();
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    if (!this.#server.listening) return;
    const closed = once(this.#server, "close");
    this.#server.close();
    await closed;
  }

  #pass(near: Socket): void {
    const far = connect(this.#farPort, "127.0.0.1");
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      this.#keep(from);
      from.on("close", () => to.destroy());
      to.on("drain", () => {
        if (!this.#isBlocked) from.resume();
      });
      from.on("data", (part: Uint8Array) => {
        if (from === far) this.bytes += part.length;
        if (!to.write(part)) from.pause();
      });
    }
  }

  #keep(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on("error", () => undefined);
    socket.on("close", () => this.#sockets.delete(socket));
  }
}

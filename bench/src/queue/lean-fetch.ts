// HTTP calls that cost their caller little: on the machine of the server that is measured, what the
// callers use is missing there. As much of fetch as the client needs, over kept TCP connections with
// one call at a time on each; real HTTP/1.1 to the server.
import { type Socket, connect } from "node:net";
import type { Fetch } from "@shoal/api/call";

/** A fetch over kept connections, as many as there are calls at once. */
export function leanFetch(): Fetch {
  const idle = new Map<string, Connection[]>();
  return async (target, init) => {
    const { host, hostname, port, pathname, search } = new URL(target);
    const kept = idle.get(host) ?? [];
    idle.set(host, kept);
    let connection = kept.pop();
    while (connection?.isOpen === false) connection = kept.pop();
    connection ??= new Connection(hostname, Number(port));
    const body = typeof init.body === "string" ? init.body : "";
    const headers = Object.entries({
      host,
      ...(init.headers as Record<string, string>),
      "content-length": Buffer.byteLength(body).toString(),
    }).map(([name, value]) => `${name}: ${value}\r\n`);
    const text = `${init.method ?? "GET"} ${pathname}${search} HTTP/1.1\r\n${headers.join("")}\r\n${body}`;
    const { status, bytes } = await connection.call(text, init.signal ?? null);
    kept.push(connection);
    const ok = status >= 200 && status < 300;
    return { ok, status, headers: new Headers(), body: [bytes] } as unknown as Response;
  };
}

interface Answer {
  readonly status: number;
  readonly bytes: Uint8Array;
}

class Connection {
  readonly #socket: Socket;
  #received: Buffer = Buffer.alloc(0);
  #waiting: PromiseWithResolvers<Answer> | null = null;

  constructor(host: string, port: number) {
    this.#socket = connect({ host, port, noDelay: true });
    this.#socket.on("data", (part: Buffer) => this.#take(part));
    this.#socket.on("error", (error) => this.#fail(error));
    this.#socket.on("close", () => this.#fail(new Error("the connection was closed")));
  }

  get isOpen(): boolean {
    return !this.#socket.destroyed;
  }

  async call(text: string, signal: AbortSignal | null): Promise<Answer> {
    const waiting = Promise.withResolvers<Answer>();
    this.#waiting = waiting;
    const abort = (): void => {
      this.#fail(signal?.reason);
      this.#socket.destroy();
    };
    signal?.throwIfAborted();
    signal?.addEventListener("abort", abort, { once: true });
    this.#socket.write(text);
    try {
      return await waiting.promise;
    } finally {
      signal?.removeEventListener("abort", abort);
    }
  }

  #take(part: Buffer): void {
    this.#received = this.#received.length === 0 ? part : Buffer.concat([this.#received, part]);
    const head = this.#received.indexOf("\r\n\r\n");
    if (head < 0) return;
    const lines = this.#received.toString("latin1", 0, head).toLowerCase().split("\r\n");
    const valueOf = (name: string): string | undefined =>
      lines
        .find((line) => line.startsWith(`${name}:`))
        ?.slice(name.length + 1)
        .trim();
    const length = Number(
      valueOf("content-length") ?? (lines[0]?.includes(" 204") ? 0 : Number.NaN),
    );
    if (Number.isNaN(length)) {
      this.#fail(new Error("an answer without its length"));
      this.#socket.destroy();
      return;
    }
    const end = head + 4 + length;
    if (this.#received.length < end) return;
    const bytes = this.#received.subarray(head + 4, end);
    this.#received = this.#received.subarray(end);
    const status = Number(lines[0]?.split(" ")[1]);
    this.#waiting?.resolve({ status, bytes });
    this.#waiting = null;
  }

  #fail(error: unknown): void {
    this.#waiting?.reject(error);
    this.#waiting = null;
  }
}

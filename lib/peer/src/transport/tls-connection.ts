// A TLS socket as libp2p sees a connection: bytes both ways, backpressure, an end.
import { once } from "node:events";
import type { TLSSocket } from "node:tls";
import type { AbortOptions, Logger, MessageStreamDirection } from "@libp2p/interface";
import { AbstractMultiaddrConnection } from "@libp2p/utils";
import type { Multiaddr } from "@multiformats/multiaddr";
import { secondMs } from "@shoal/core/units";

export interface TlsConnectionInit {
  readonly socket: TLSSocket;
  readonly remoteAddr: Multiaddr;
  readonly direction: MessageStreamDirection;
  readonly log: Logger;
}

/** A link may be silent for hours: the kernel looks whether the other machine is still there. */
const keepAliveMs = 30 * secondMs;
/** Up to this, what waits is written at once: one record, one system call. */
const joinedBytesMax = 16_384;

export class TlsConnection extends AbstractMultiaddrConnection {
  readonly #socket: TLSSocket;

  constructor({ socket, remoteAddr, direction, log }: TlsConnectionInit) {
    super({ remoteAddr, direction, log });
    this.#socket = socket;
    socket.setNoDelay(true).setKeepAlive(true, keepAliveMs);
    socket.on("data", (bytes: Buffer) => this.onData(bytes));
    socket.on("drain", () => this.safeDispatchEvent("drain"));
    socket.on("error", (error) => this.abort(error));
    socket.once("end", () => this.onTransportClosed());
    socket.once("close", () => this.onTransportClosed());
  }

  sendData(data: SendData): { readonly sentBytes: number; readonly canSendMore: boolean } {
    const socket = this.#socket;
    const sentBytes = data.byteLength;
    if (sentBytes <= joinedBytesMax) {
      return { sentBytes, canSendMore: socket.write(data.subarray()) };
    }
    let canSendMore = true;
    socket.cork();
    for (const part of data) canSendMore = socket.write(part);
    socket.uncork();
    return { sentBytes, canSendMore };
  }

  async sendClose(options?: AbortOptions): Promise<void> {
    if (this.#socket.destroyed) return;
    const closed = once(this.#socket, "close", options);
    this.#socket.destroySoon();
    await closed;
  }

  sendReset(): void {
    this.#socket.destroy();
  }

  sendPause(): void {
    this.#socket.pause();
  }

  sendResume(): void {
    this.#socket.resume();
  }
}

type SendData = Parameters<AbstractMultiaddrConnection["sendData"]>[0];

// The receiving end of a bulk socket: dials, proves both ends, and then reads frames straight into the
// memory where they stay. Certificates are checked before the first byte, and no session is resumed.
import { connect as connectPlain, type Socket } from "node:net";
import { connect as connectTls, type SecureContext, type TLSSocket } from "node:tls";
import { digest, digestEquals } from "@shoal/core/digest";
import { remoteError } from "@shoal/core/error";
import type { PeerId } from "@shoal/core/ids";
import type { Millis } from "@shoal/core/units";
import { DataFrameReader } from "@shoal/core/wire/data-frames";
import type { LaneListener } from "../chunk-lane.ts";
import type { BufferPool } from "./buffer-pool.ts";
import type { BulkAddress } from "./bulk-address.ts";
import { peerOf } from "./bulk-tls.ts";

export interface BulkDial {
  readonly peerId: PeerId;
  /** Told to the peer on the link; the opening is its hash, and the answer the token itself. */
  readonly token: Uint8Array;
  readonly listener: LaneListener;
}

export interface BulkReceiverDeps {
  readonly context: SecureContext;
  readonly pool: BufferPool;
  readonly openMsMax: Millis;
}

export class BulkReceiver {
  readonly #dial: BulkDial;
  readonly #pool: BufferPool;
  readonly #socket: Socket;
  readonly #reader: DataFrameReader;
  readonly #answer: Uint8Array;
  #answered = 0;
  readonly #opened: PromiseWithResolvers<void> = Promise.withResolvers();
  readonly #timer: NodeJS.Timeout;
  #isOpen = false;
  #isOver = false;
  /** When bytes came last, as far as somebody has asked, or when it was opened. */
  #heardMs: number = performance.now();
  #heardSince = false;

  constructor(
    { context, pool, openMsMax }: BulkReceiverDeps,
    address: BulkAddress,
    dial: BulkDial,
  ) {
    this.#dial = dial;
    this.#pool = pool;
    this.#answer = new Uint8Array(dial.token.length);
    this.#reader = new DataFrameReader(
      (head) => dial.listener.expects(head),
      ({ request, length }) => pool.take(length, { phase: dial.listener.phase(request) }),
    );
    this.#timer = setTimeout(() => this.#end(new Error("not open in time")), openMsMax);
    const onread = {
      buffer: () => this.#room(),
      callback: (count: number) => this.#took(count),
    };
    const { host, port, isEncrypted } = address;
    if (isEncrypted) {
      const options = { host, port, onread, secureContext: context, rejectUnauthorized: false };
      const socket = connectTls({ ...options, minVersion: "TLSv1.3" }, () => {
        this.#greetTls(socket);
      });
      this.#socket = socket;
    } else {
      this.#socket = connectPlain({ host, port, onread }, () => this.#greet());
    }
    this.#socket.setNoDelay(true);
    this.#socket.on("error", (error) => this.#end(error));
    this.#socket.on("close", () => this.#end(new Error("the bulk socket was closed")));
    this.#socket.on("end", () => this.#end(new Error("the bulk socket ended")));
    this.#opened.promise.catch(() => undefined);
  }

  /** When bytes came last: since the call before, counts as now. Reading a clock for each portion costs more. */
  get heardMs(): number {
    if (this.#heardSince) this.#heardMs = performance.now();
    this.#heardSince = false;
    return this.#heardMs;
  }

  /** Resolves when the other end has proven itself and will send. */
  opened(): Promise<void> {
    return this.#opened.promise;
  }

  /** The listener isn't told. Idempotent. */
  close(): void {
    this.#isOver = true;
    clearTimeout(this.#timer);
    this.#opened.reject(new Error("closed"));
    this.#socket.destroy();
  }

  #greetTls(socket: TLSSocket): void {
    const peer = peerOf(socket);
    if (peer === this.#dial.peerId) this.#greet();
    else this.#end(remoteError("peer_id_wrong", `the bulk port is of ${peer ?? "nobody"}`));
  }

  #greet(): void {
    if (!this.#isOver) this.#socket.write(digest(this.#dial.token));
  }

  #room(): Uint8Array {
    return this.#isOpen ? this.#reader.room() : this.#answer.subarray(this.#answered);
  }

  #took(count: number): boolean {
    if (this.#isOver) return false;
    this.#heardSince = true;
    try {
      if (this.#isOpen) this.#read(count);
      else this.#readAnswer(count);
    } catch (error) {
      this.#end(error);
    }
    return !this.#isOver && !this.#mustRest(count);
  }

  /** Whether bytes come faster than they may; goes on by itself. */
  #mustRest(count: number): boolean {
    const restMs = this.#dial.listener.pauseMs(count);
    if (restMs <= 0) return false;
    setTimeout(() => {
      if (!this.#isOver && !this.#mustRest(0)) this.#socket.resume();
    }, restMs);
    return true;
  }

  #readAnswer(count: number): void {
    this.#answered += count;
    if (this.#answered < this.#answer.length) return;
    if (!digestEquals(this.#answer, this.#dial.token)) {
      throw remoteError("peer_refused", "the bulk port doesn't know the link's token");
    }
    clearTimeout(this.#timer);
    this.#isOpen = true;
    this.#opened.resolve();
  }

  #read(count: number): void {
    const frame = this.#reader.took(count);
    if (frame === undefined) return;
    const { request, chunk, bytes } = frame;
    if (bytes.length === 0) this.#dial.listener.requestEnded(request);
    else this.#dial.listener.run(request, chunk, bytes, () => this.#pool.give(bytes));
  }

  #end(error: unknown): void {
    if (this.#isOver) return;
    const wasOpen = this.#isOpen;
    this.#opened.reject(error);
    this.close();
    if (wasOpen) this.#dial.listener.ended(error);
  }
}

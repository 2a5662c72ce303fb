import { connect, createServer, type AddressInfo } from "node:net";
import { once } from "node:events";
import { digest } from "@shoal/core/digest";
import { createLog } from "@shoal/daemon/log";
import { type Certificate, createCertificate } from "@shoal/trust/certificate";
import { createKey } from "@shoal/trust/key-file";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { LaneListener } from "../chunk-lane.ts";
import {
  type Artifact,
  artifactOf,
  Fleet,
  join,
  type Member,
  MemoryStorage,
  seed,
} from "../fleet.test-kit.ts";
import { CuttableWire } from "./bulk-proxy.test-kit.ts";
import { BulkPort } from "./bulk-port.ts";
import { readBulkAddress, tellBulkAddress } from "./bulk-address.ts";

const timeoutMs = 60_000;
const chunkCount = 120;

/** Calls back once, when so many chunks have been written. */
class CountingStorage extends MemoryStorage {
  readonly #after: number;
  readonly #call: () => void;
  #isCalled = false;

  constructor(artifact: Artifact, after: number, call: () => void) {
    super(artifact, () => false);
    this.#after = after;
    this.#call = call;
  }

  override async writeRun(firstChunk: number, count: number, bytes: Uint8Array): Promise<void> {
    await super.writeRun(firstChunk, count, bytes);
    if (this.writes < this.#after || this.#isCalled) return;
    this.#isCalled = true;
    this.#call();
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

describe("chunks between two nodes", { timeout: timeoutMs }, () => {
  let fleet: Fleet;
  let wire: CuttableWire;
  beforeEach(() => {
    fleet = new Fleet();
  });
  afterEach(async () => {
    await fleet.close();
    await wire.close();
  });

  /** A seeder behind a wire, and a host that doesn't know of that. */
  async function start(
    isEncrypted: { readonly seeder: boolean; readonly host: boolean } = {
      seeder: true,
      host: true,
    },
  ): Promise<{ readonly seeder: Member; readonly host: Member }> {
    const port = await freePort();
    wire = new CuttableWire(port);
    await wire.open();
    const bulk = {
      listen: [`/ip4/127.0.0.1/tcp/${port}`],
      advertised: [wire.address + (isEncrypted.seeder ? "/tls" : "")],
      isEncrypted: isEncrypted.seeder,
    };
    const seeder = await fleet.member({ seeder: true, config: { bulk } });
    const own = { listen: ["/ip4/127.0.0.1/tcp/0"], isEncrypted: isEncrypted.host };
    const host = await fleet.member({ config: { bulk: own } });
    return { seeder, host };
  }

  /** Fetches an artifact; answers how many of its bytes took the wire. */
  async function fetchNew(
    { seeder, host }: { readonly seeder: Member; readonly host: Member },
    number: number,
    after: { readonly chunks: number; readonly call: () => void } = { chunks: 1e9, call: () => {} },
  ): Promise<number> {
    const artifact = artifactOf(chunkCount, number);
    seed(seeder, artifact);
    const before = wire.bytes;
    const storage = new CountingStorage(artifact, after.chunks, after.call);
    const { membership } = join(host, artifact, storage);
    membership.addPeers([seeder.candidate]);
    await membership.done;
    for (const [index, chunk] of artifact.chunks.entries())
      expect(Buffer.compare(storage.chunks[index] ?? new Uint8Array(), chunk)).toBe(0);
    expect(membership.progress().bytesRefused).toBe(0);
    return (wire.bytes - before) / artifact.manifest.bytes;
  }

  test.for([
    ["encrypted", true],
    ["unencrypted", false],
  ] as const)("go over a bulk socket, %s", async ([, isEncrypted]) => {
    const members = await start({ seeder: isEncrypted, host: isEncrypted });
    expect(await fetchNew(members, 1)).toBeGreaterThan(0.5);
    // The socket is there now.
    expect(await fetchNew(members, 2)).toBeGreaterThan(0.99);
  });

  test("go over a stream where one side encrypts and the other doesn't", async () => {
    const members = await start({ seeder: false, host: true });
    expect(await fetchNew(members, 1)).toBe(0);
  });

  test("go over a stream while the bulk port is blocked, and by the port when it is opened", async () => {
    const members = await start();
    wire.cut();
    expect(await fetchNew(members, 1)).toBe(0);
    await wire.open();
    let number = 1;
    await expect
      .poll(() => fetchNew(members, (number += 1)), { timeout: 30_000, interval: 500 })
      .toBeGreaterThan(0.99);
  });

  test("go on over a stream when the bulk socket is cut in the middle, and later by the port again", async () => {
    const members = await start();
    await fetchNew(members, 1);
    const share = await fetchNew(members, 2, { chunks: chunkCount / 3, call: () => wire.cut() });
    expect(share).toBeGreaterThan(0.1);
    expect(share).toBeLessThan(1);
    await wire.open();
    let number = 2;
    await expect
      .poll(() => fetchNew(members, (number += 1)), { timeout: 30_000, interval: 500 })
      .toBeGreaterThan(0.99);
  });

  test("go on over a stream when the wire falls silent in the middle", async () => {
    const members = await start();
    await fetchNew(members, 1);
    const share = await fetchNew(members, 2, { chunks: chunkCount / 3, call: () => wire.block() });
    expect(share).toBeLessThan(1);
  });

  test("go over a stream when somebody else answers on the bulk port", async () => {
    const other = await fleet.member();
    const port = await freePort();
    wire = new CuttableWire(port);
    await wire.open();
    const theirs = { listen: [`/ip4/127.0.0.1/tcp/${port}`], isEncrypted: true };
    await fleet.member({ config: { bulk: theirs } });
    const bulk = { listen: [], advertised: [`${wire.address}/tls`], isEncrypted: true };
    const seeder = await fleet.member({ seeder: true, config: { bulk } });
    expect(await fetchNew({ seeder, host: other }, 1)).toBeLessThan(0.01);
  });
});

describe("a bulk port", { timeout: timeoutMs }, () => {
  const ports: BulkPort[] = [];
  afterEach(async () => {
    for (const port of ports.splice(0)) await port.stop();
  });

  interface Host {
    readonly peerId: string;
    readonly port: BulkPort;
  }

  async function open(isEncrypted = true): Promise<Host> {
    const key = createKey();
    const certificate: Certificate = await createCertificate(key);
    const port = new BulkPort(
      { certificate, log: createLog("test", "fatal") },
      { listen: ["/ip4/127.0.0.1/tcp/0"], isEncrypted },
      { poolBytesMax: 1_000_000, openMsMax: 500 },
    );
    ports.push(port);
    await port.start();
    return { peerId: key.peerId, port };
  }

  const listener: LaneListener = {
    expects: () => false,
    phase: () => 0,
    pauseMs: () => 0,
    run: () => undefined,
    requestEnded: () => undefined,
    ended: () => undefined,
  };

  /** Dials with a token of which the other side was told that it is of `expected`. */
  async function dial(from: Host, to: Host, expected: Host, told: Uint8Array): Promise<string> {
    const token = new Uint8Array(32).fill(7);
    const forget = to.port.expect(expected.peerId, told, (create) => create(() => undefined));
    const addresses = from.port.usable(to.port.addresses());
    expect(addresses).toHaveLength(1);
    try {
      const receiver = await from.port.dial(addresses, { peerId: to.peerId, token, listener });
      receiver.close();
      return "open";
    } finally {
      forget();
    }
  }

  const right = new Uint8Array(32).fill(7);

  test.for([true, false])(
    "opens to the link's own peer with its token, encrypted: %s",
    async (encrypted) => {
      const [host, seeder] = [await open(encrypted), await open(encrypted)];
      expect(await dial(host, seeder, host, right)).toBe("open");
    },
  );

  test("opens to a socket that comes before its announcement", async () => {
    const [host, seeder] = [await open(), await open()];
    const token = new Uint8Array(32).fill(7);
    const addresses = host.port.usable(seeder.port.addresses());
    const dialing = host.port.dial(addresses, { peerId: seeder.peerId, token, listener });
    await new Promise((resolve) => {
      setTimeout(resolve, 50);
    });
    const forget = seeder.port.expect(host.peerId, token, (create) => create(() => undefined));
    const receiver = await dialing;
    expect(receiver.heardMs).toBeGreaterThan(0);
    receiver.close();
    forget();
  });

  test("refuses the right token from another host's certificate", async () => {
    const [host, seeder, thief] = [await open(), await open(), await open()];
    await expect(dial(thief, seeder, host, right)).rejects.toThrow("bulk socket");
  });

  test.for([true, false])("refuses a wrong token, encrypted: %s", async (encrypted) => {
    const [host, seeder] = [await open(encrypted), await open(encrypted)];
    await expect(dial(host, seeder, host, new Uint8Array(32).fill(8))).rejects.toThrow(
      /bulk socket|in time/,
    );
  });

  test("is refused when its certificate is another's", async () => {
    const [host, seeder, other] = [await open(), await open(), await open()];
    const addresses = host.port.usable(other.port.addresses());
    const dialing = host.port.dial(addresses, { peerId: seeder.peerId, token: right, listener });
    await expect(dialing).rejects.toMatchObject({ code: "peer_id_wrong" });
  });

  test("takes a token once", async () => {
    const [host, seeder] = [await open(false), await open(false)];
    await dial(host, seeder, host, right);
    const addresses = host.port.usable(seeder.port.addresses());
    const again = host.port.dial(addresses, { peerId: seeder.peerId, token: right, listener });
    await expect(again).rejects.toThrow(/bulk socket|in time/);
  });

  test("outlives rubbish, and ends it", async () => {
    const [host, seeder] = [await open(false), await open(false)];
    const { host: name, port } = readBulkAddress(seeder.port.addresses()[0] ?? "") ?? {
      host: "",
      port: 0,
    };
    const socket = connect(port, name);
    socket.write(new Uint8Array(1000));
    socket.resume();
    await once(socket, "close");
    expect(await dial(host, seeder, host, right)).toBe("open");
  });
});

test("addresses of bulk ports are read strictly", () => {
  expect(readBulkAddress("/ip6/::1/tcp/7443/tls")).toEqual({
    host: "::1",
    port: 7443,
    isEncrypted: true,
  });
  for (const text of [
    "/ip4/::1/tcp/1",
    "/ip4/1.2.3/tcp/1",
    "/dns4/a/tcp/1",
    "/ip4/1.1.1.1/tcp/65536",
    "x",
  ])
    expect(readBulkAddress(text)).toBeUndefined();
  const all = tellBulkAddress({ host: "0.0.0.0", port: 7443, isEncrypted: false });
  expect(all).toContain("/ip4/127.0.0.1/tcp/7443");
  expect(digest(new Uint8Array(0))).toHaveLength(32);
});

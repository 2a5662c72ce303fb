// A TCP proxy before Postgres that can forget connections: bytes stop in both ways, and neither side
// hears of it, as after a firewall lost its table.
import { type Socket, connect, createServer } from "node:net";
import type { AddressInfo } from "node:net";

export interface Proxy {
  readonly port: number;
  /** Lets the connections there are hang for ever; new ones work. Answers how many. */
  forget(): number;
  stop(): Promise<void>;
}

export async function startProxy(targetPort: number): Promise<Proxy> {
  const open = new Set<{ readonly near: Socket; readonly far: Socket }>();
  const all = new Set<Socket>();
  const server = createServer((near) => {
    const far = connect(targetPort, "127.0.0.1");
    const pair = { near, far };
    open.add(pair);
    for (const socket of [near, far]) {
      all.add(socket);
      socket.setNoDelay(true);
      socket.on("error", () => undefined);
      socket.on("close", () => {
        all.delete(socket);
        // A forgotten connection's end isn't passed on either.
        if (!open.delete(pair)) return;
        near.destroy();
        far.destroy();
      });
    }
    near.pipe(far);
    far.pipe(near);
  });
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    forget: () => {
      const count = open.size;
      for (const { near, far } of open) {
        near.unpipe(far);
        far.unpipe(near);
        near.resume();
        far.resume();
      }
      open.clear();
      return count;
    },
    stop: async () => {
      for (const socket of all) socket.destroy();
      await new Promise<void>((resolve) => {
        server.close(() => resolve());
      });
    },
  };
}

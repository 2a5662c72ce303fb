// Connections to Postgres that notice when nobody is there any more. A connection that a firewall or a
// dead machine forgot never ends by itself: what is sent on it is acknowledged by nobody, and who waits
// for the answer waits for a quarter of an hour. Here a socket on which something was sent and nothing
// came back for longer than any statement may take is destroyed, and the pool makes another one.
import { type Socket, connect } from "node:net";

export interface SocketTarget {
  readonly host: string | readonly string[];
  readonly port: number | readonly number[];
}

/** Makes sockets to one server after the other, where several are named. */
export function watchedSockets(silentMsMax: number): (target: SocketTarget) => Socket {
  let turn = 0;
  return (target) => {
    const hosts = [target.host].flat();
    const ports = [target.port].flat();
    const at = turn % hosts.length;
    turn += 1;
    const socket = connect({ host: hosts[at] ?? "127.0.0.1", port: ports[at] ?? ports[0] ?? 5432 });
    socket.setNoDelay(true);
    return watch(socket, silentMsMax);
  };
}

/** The field of an error message that has SQLSTATE 25006, read_only_sql_transaction. */
const readOnlyError = Buffer.from("C25006\0");

function watch(socket: Socket, silentMsMax: number): Socket {
  let timer: NodeJS.Timeout | undefined;
  const answered = (): void => {
    clearTimeout(timer);
    timer = undefined;
  };
  const write = socket.write.bind(socket);
  // Everything that the pool sends passes here; `socket.setTimeout` would also end idle connections.
  socket.write = ((...parameters: Parameters<typeof write>): boolean => {
    timer ??= setTimeout(() => {
      socket.destroy(new Error(`Postgres didn't answer for ${silentMsMax / 1000} s`));
    }, silentMsMax);
    return write(...parameters);
  }) as typeof socket.write;
  socket.on("data", (bytes: Buffer) => {
    answered();
    // The server has become one that only reads: the pool must not keep a connection to it. Ended
    // after the error was handed on, so that its query fails with it.
    if (bytes.includes(readOnlyError)) setImmediate(() => socket.destroy());
  });
  socket.on("close", answered);
  return socket;
}

// Runs inside the sandbox of a prepare command, where the only way out is a Unix socket: listens on
// loopback, passes every connection on to the socket, and runs the command with the environment that
// makes programs use it as their proxy. Decides nothing: the proxy on the other side does. It is copied
// into the sandbox as one file, so that it imports nothing but Node.
//
//   node relay.mts <folder with the socket> <command for sh -c>
import { spawn } from "node:child_process";
import { openSync } from "node:fs";
import { type AddressInfo, connect, createServer } from "node:net";

const connectionsMax = 256;
const [folder = "", command = ""] = process.argv.slice(2);
// A socket's path may have 107 bytes only; through the folder's descriptor any length will do.
const socketPath = `/proc/self/fd/${openSync(folder, "r")}/socket`;

const server = createServer({ allowHalfOpen: true }, (inner) => {
  const outer = connect({ path: socketPath, allowHalfOpen: true });
  inner.pipe(outer);
  outer.pipe(inner);
  inner.on("error", () => outer.destroy());
  outer.on("error", () => inner.destroy());
  inner.on("close", () => outer.destroy());
  outer.on("close", () => inner.destroy());
});
server.maxConnections = connectionsMax;
server.on("error", (error) => {
  process.stderr.write(`The relay to the proxy can't listen: ${error.message}\n`);
  process.exitCode = 125;
});
server.listen(0, "127.0.0.1", () => {
  const { port } = server.address() as AddressInfo;
  const child = spawn("/bin/sh", ["-c", command], {
    stdio: "inherit",
    env: { ...process.env, ...proxyEnvironment(`http://127.0.0.1:${port}`) },
  });
  child.on("error", (error) => {
    process.stderr.write(`The command can't be started: ${error.message}\n`);
    process.exitCode = 125;
    server.close();
  });
  child.on("exit", (exitCode, signal) => {
    // The command's end is the end: what it left in the background is killed with the sandbox.
    if (signal !== null) process.kill(process.pid, signal);
    process.exit(exitCode ?? 128);
  });
});

/** Every spelling that programs look for. Download caches go where nothing is kept: results are. */
function proxyEnvironment(url: string): Record<string, string> {
  const temporary = process.env["TMPDIR"] ?? "/tmp";
  return {
    npm_config_cache: `${temporary}/npm-cache`,
    YARN_CACHE_FOLDER: `${temporary}/yarn-cache`,
    PIP_CACHE_DIR: `${temporary}/pip-cache`,
    // The machine's certificates: a company's own registry has a root that Node doesn't bring along.
    NODE_USE_SYSTEM_CA: "1",
    HTTP_PROXY: url,
    HTTPS_PROXY: url,
    http_proxy: url,
    https_proxy: url,
    npm_config_proxy: url,
    npm_config_https_proxy: url,
    npm_config_noproxy: "",
    YARN_HTTP_PROXY: url,
    YARN_HTTPS_PROXY: url,
    CARGO_HTTP_PROXY: url,
    NODE_USE_ENV_PROXY: "1",
    NO_PROXY: "",
    no_proxy: "",
  };
}

// HTTP calls that cost their caller little: on the machine of the server that is measured, what the
// callers use is missing there. As much of fetch as the client needs, on Node's own connections.
import { Agent, request } from "node:http";
import type { Fetch } from "@shoal/api/call";

/** A fetch over at most `connections` kept connections. */
export function leanFetch(connections: number): Fetch {
  const agent = new Agent({ keepAlive: true, maxSockets: connections });
  return (url, init) => {
    const { promise, resolve, reject } = Promise.withResolvers<Response>();
    const body = typeof init.body === "string" ? Buffer.from(init.body) : new Uint8Array(0);
    const headers = { ...(init.headers as Record<string, string>), "content-length": body.length };
    const signal = init.signal ?? undefined;
    const options = { agent, method: init.method ?? "GET", headers, ...(signal && { signal }) };
    const call = request(url, options, (answer) => {
      const parts: Uint8Array[] = [];
      answer.on("data", (part: Uint8Array) => parts.push(part));
      answer.once("error", reject);
      answer.once("end", () => {
        const status = answer.statusCode ?? 0;
        const ok = status >= 200 && status < 300;
        resolve({ ok, status, headers: new Headers(), body: parts } as unknown as Response);
      });
    });
    call.once("error", reject);
    call.end(body);
    return promise;
  };
}

// Holds core's tests to core's promise: no network and no real time. Whatever of ours tries is told so
// at once, by an error that names it. Third parties may: fake timers look at the real ones when they
// are installed, and are what a test of timing should use. Vitest has kept the real ones for itself.
import { Socket } from "node:net";

/** Throws when the code that called `real` is ours, that is, not under node_modules or Node's own. */
function refuseOurs<Call extends (...args: never[]) => unknown>(name: string, real: Call): Call {
  const guarded = (...args: Parameters<Call>): ReturnType<Call> => {
    const caller = new Error().stack?.split("\n")[2] ?? "";
    if (caller.includes("/node_modules/") || caller.includes("node:internal")) {
      return real(...args) as ReturnType<Call>;
    }
    throw new Error(`core has no I/O and no clock, and neither have its tests: ${name} was called`);
  };
  return Object.assign(guarded, real);
}

Socket.prototype.connect = () => {
  throw new Error("core has no I/O, and neither have its tests: net.connect was called");
};
globalThis.fetch = refuseOurs("fetch", globalThis.fetch);
globalThis.setTimeout = refuseOurs("setTimeout", globalThis.setTimeout);
globalThis.setInterval = refuseOurs("setInterval", globalThis.setInterval);
globalThis.setImmediate = refuseOurs("setImmediate", globalThis.setImmediate);

// What may be said to the fault tests from outside: how often, and with which random moments.

const environment = process.env;

export const faultConfig = {
  /** Random moments for each kind of process; a few in `npm test`, SHOAL_FAULT_RUNS=20 for all. */
  runs: readCount(environment["SHOAL_FAULT_RUNS"], 1),
  /** Printed by each run, so that its moments can be had again with SHOAL_FAULT_SEED. */
  seed: readCount(environment["SHOAL_FAULT_SEED"], Math.floor(Math.random() * 2 ** 31)),
  /** How long the control plane is away in a rollout, 0 for not at all; SHOAL_OUTAGE_SECONDS=120 for two minutes. */
  outageMs: readCount(environment["SHOAL_OUTAGE_SECONDS"], 0) * 1000,
  searchPath: environment["PATH"] ?? "/usr/local/bin:/usr/bin:/bin",
};

function readCount(text: string | undefined, otherwise: number): number {
  const value = Number(text ?? "");
  return text !== undefined && Number.isInteger(value) && value > 0 ? value : otherwise;
}

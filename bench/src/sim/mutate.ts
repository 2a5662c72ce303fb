// Loaded before the simulator (`node --import …?mutant=<name>`): gives it the scheduler with one mutant's mistake in it.
import { registerHooks } from "node:module";
import { assert } from "@shoal/core/error";
import { mutants } from "./mutants.ts";

const wanted = new URL(import.meta.url).searchParams.get("mutant");
const mutant = mutants.find(({ name }) => name === wanted);
assert(mutant !== undefined, "the address says which mutant");
const { file, right, wrong } = mutant;

registerHooks({
  load(url, context, nextLoad) {
    const loaded = nextLoad(url, context);
    if (!url.endsWith(`/core/src/swarm/${file}`)) return loaded;
    const source =
      typeof loaded.source === "string" ? loaded.source : new TextDecoder().decode(loaded.source);
    assert(source.split(right).length === 2, "a mutant's place is there once");
    return { ...loaded, source: source.replace(right, wrong) };
  },
});

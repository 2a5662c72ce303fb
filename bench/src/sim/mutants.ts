// Mistakes that the search must find: each is a small change to the scheduler's own source. A test runs
// the search on each, so that a checker which has gone blind is noticed.

export interface Mutant {
  readonly name: string;
  /** Of core/src/swarm. */
  readonly file: string;
  /** Occurs once in the file. */
  readonly right: string;
  readonly wrong: string;
  /** What it breaks. */
  readonly kind: "safety" | "liveness";
}

export const mutants: readonly Mutant[] = [
  {
    name: "forgets a peer's have",
    file: "members.ts",
    right: "for (let index = 0; index < count; index += 1) {",
    wrong: "for (let index = 1; index < count; index += 1) {",
    kind: "liveness",
  },
  {
    name: "never ends endgame",
    file: "downloads.ts",
    right: "if (artifact.requestedCopies(chunk) === 0) return;",
    wrong: "return;",
    kind: "safety",
  },
  {
    name: "relays before verifying",
    file: "downloads.ts",
    right: "this.#state.outputs.accept(link.id, id, artifact.slot, chunk);",
    wrong: `this.#state.outputs.accept(link.id, id, artifact.slot, chunk);
      artifact.offer.fill(255);`,
    kind: "safety",
  },
  {
    name: "ignores its budget",
    file: "downloads.ts",
    right: "if (this.#state.bytesOpen < this.#bytesOpenMax(link)) return true;",
    wrong: "if (link.isStarved || !link.isStarved) return true;",
    kind: "safety",
  },
];

// Makes knip say how many files it looked at, which it doesn't by itself.

/** What this reporter reads of all that knip hands to one. */
interface Report {
  readonly counters: { readonly total: number };
}

function sayTotal({ counters }: Report): void {
  console.log(`knip looked at ${counters.total} files`);
}

/** @public */
// oxlint-disable-next-line import/no-default-export -- how knip finds a reporter
export default sayTotal;

// Lists that lose an element with almost every fact.

/** As `splice`, which would make an array each time. */
export function removeAt(list: unknown[], place: number): void {
  for (let at = place; at < list.length - 1; at += 1) list[at] = list[at + 1];
  list.pop();
}

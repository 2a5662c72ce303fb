// Which hosts a service runs on.

type Labels = Readonly<Record<string, string>>;

/** Whether a host with these labels is taken: it has every label of the selector, with that value. */
export function selects(selector: Labels, labels: Labels): boolean {
  return Object.entries(selector).every(
    ([label, value]) => Object.hasOwn(labels, label) && labels[label] === value,
  );
}

// Rows of the database as the API shows them: times as RFC 3339 in UTC.

/** A copy of a row whose dates are text. */
export function isoDates(row: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(row).map(([key, value]) => [
      key,
      value instanceof Date ? value.toISOString() : value,
    ]),
  );
}

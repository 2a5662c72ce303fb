// What a check of the machine found: one line for a person, and what to type when something is wrong.

export interface Finding {
  /** What was looked at: git, disk, keys … */
  readonly check: string;
  /** `warning`: Shoal works, with less than it could have. `wrong`: something won't work. */
  readonly level: "ok" | "warning" | "wrong";
  readonly says: string;
  /** What to type or set; "" when nothing has to be done. */
  readonly fix: string;
}

export function fine(check: string, says: string): Finding {
  return { check, level: "ok", says, fix: "" };
}

export function warning(check: string, says: string, fix: string): Finding {
  return { check, level: "warning", says, fix };
}

export function wrong(check: string, says: string, fix: string): Finding {
  return { check, level: "wrong", says, fix };
}

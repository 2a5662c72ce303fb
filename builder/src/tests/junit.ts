// JUnit's XML, as most test runners write it: suites may nest, a case has at most one of failure,
// error and skipped. What isn't known is passed over.
import type { TestCase } from "@shoal/api/test-report";
import { testMessageCharsMax } from "@shoal/core/limits";
import type { TestCases } from "./cases.ts";
import type { XmlReader } from "./xml.ts";

const states = { failure: "failed", error: "errored", skipped: "skipped" } as const;

export class JunitReader implements XmlReader {
  readonly #cases: TestCases;
  readonly #suites: string[] = [];
  #case: TestCase | null = null;
  /** Text inside a failure or error, as far as it is kept. */
  #text: string | null = null;

  constructor(cases: TestCases) {
    this.#cases = cases;
  }

  open(name: string, attributes: Readonly<Record<string, string>>): void {
    if (name === "testsuite") this.#suites.push(attributes["name"] ?? "");
    if (name === "testcase") {
      this.#case = {
        suite: attributes["classname"] ?? this.#suites.at(-1) ?? "",
        name: attributes["name"] ?? "",
        state: "passed",
        durationMs: milliseconds(attributes["time"]),
        message: null,
      };
    }
    if (this.#case === null || !isVerdict(name)) return;
    // An error counts more than a failure, and both more than skipped.
    if (this.#case.state === "passed" || name !== "skipped") this.#case.state = states[name];
    this.#case.message = attributes["message"] ?? this.#case.message;
    this.#text = "";
  }

  text(text: string): void {
    if (this.#text !== null && this.#text.length < testMessageCharsMax) this.#text += text;
  }

  close(name: string): void {
    if (name === "testsuite") this.#suites.pop();
    if (name === "testcase" && this.#case !== null) {
      this.#cases.add(this.#case);
      this.#case = null;
    }
    if (this.#case !== null && isVerdict(name)) {
      const parts = [this.#case.message ?? "", (this.#text ?? "").trim()];
      const said = parts[1]?.startsWith(parts[0] ?? "") === true ? parts.slice(1) : parts;
      this.#case.message = said.filter((part) => part !== "").join("\n") || null;
      this.#text = null;
    }
  }
}

function isVerdict(name: string): name is keyof typeof states {
  return Object.hasOwn(states, name);
}

/** Seconds as runners write them, some with separators of thousands. */
function milliseconds(text: string | undefined): number | null {
  const seconds = Number((text ?? "").replaceAll(",", ""));
  if (text === undefined || text.trim() === "" || !Number.isFinite(seconds) || seconds < 0)
    return null;
  return Math.round(seconds * 1e6) / 1000;
}

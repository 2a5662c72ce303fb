// Error codes are part of the contract: each one that is thrown has a row in docs/PROTOCOL.md,
// "Error codes", each row is thrown by somebody, and the rows are sorted so that two people who add
// one seldom meet in the same line.
import type { Finding, Rule } from "../rule.ts";
import { isSource, isTest, type TrackedFile } from "../tracked-file.ts";

const protocolPath = "docs/PROTOCOL.md";

interface Code {
  readonly code: string;
  readonly path: string;
  readonly line: number;
}

export const errorCodes: Rule = {
  name: "error codes are documented",
  reads: (path) => path === protocolPath || (isSource(path) && !isTest(path)),
  find: (files) => {
    const protocol = files.find((file) => file.path === protocolPath);
    if (protocol === undefined) return [{ path: protocolPath, line: 0, message: "is missing" }];
    const sources = files.filter((file) => file !== protocol);
    const rows = documentedCodes(protocol);
    return [...undocumented(sources, rows), ...unused(sources, rows), ...unsorted(rows)];
  },
};

function documentedCodes(protocol: TrackedFile): readonly Code[] {
  const lines = protocol.lines;
  const first = lines.findIndex((line) => /^## .*Error codes/.test(line));
  return lines.flatMap((text, index) => {
    const code = /^\|\s*`?([a-z][a-z0-9_]*)`?\s*\|/.exec(text)?.[1];
    if (first === -1 || index < first || code === undefined || code === "code") return [];
    return [{ code, path: protocol.path, line: index + 1 }];
  });
}

function undocumented(sources: readonly TrackedFile[], rows: readonly Code[]): Finding[] {
  const known = new Set(rows.map((row) => row.code));
  const firstUses = new Map<string, Code>();
  for (const use of sources.flatMap(thrownCodes)) {
    if (!known.has(use.code) && !firstUses.has(use.code)) firstUses.set(use.code, use);
  }
  return Array.from(firstUses.values(), ({ code, path, line }) => ({
    path,
    line,
    message: `${code} has no row in ${protocolPath}, "Error codes"`,
  }));
}

/** Codes given as text to `new ShoalError(…)` or `remoteError(…)`. */
function thrownCodes(file: TrackedFile): readonly Code[] {
  const codes: Code[] = [];
  const add = (node: CallLike): void => {
    const callee = file.text?.slice(node.callee.start, node.callee.end) ?? "";
    if (callee !== "ShoalError" && callee !== "remoteError") return;
    const given = node.arguments[0];
    if (given === undefined) return;
    const text = file.text?.slice(given.start, given.end) ?? "";
    for (const [, code] of text.matchAll(/"([a-z0-9_]+)"/g)) {
      if (code !== undefined) codes.push({ code, path: file.path, line: file.lineOf(node.start) });
    }
  };
  file.visit({ NewExpression: add, CallExpression: add });
  return codes;
}

interface CallLike {
  readonly start: number;
  readonly callee: { readonly start: number; readonly end: number };
  readonly arguments: readonly { readonly start: number; readonly end: number }[];
}

/**
 * A code may reach the constructor through a variable, or be put together from a word and an ending
 * (`${what}_expired`), so any text that equals it or ends it counts as its use.
 */
function unused(sources: readonly TrackedFile[], rows: readonly Code[]): Finding[] {
  const texts = sources.map((file) => file.text ?? "");
  const endings = texts.flatMap((text) =>
    Array.from(text.matchAll(/`\$\{[\w.]+\}(_[a-z0-9_]+)`/g), ([, ending]) => ending ?? ""),
  );
  return rows
    .filter(({ code }) => !texts.some((text) => text.includes(`"${code}"`)))
    .filter(({ code }) => !endings.some((ending) => code.endsWith(ending)))
    .map(({ code, path, line }) => ({ path, line, message: `nobody throws ${code}` }));
}

function unsorted(rows: readonly Code[]): Finding[] {
  return rows.flatMap((row, index) => {
    const before = rows[index - 1];
    if (before === undefined || before.code < row.code) return [];
    const message = `${row.code} belongs before ${before.code}, and only once`;
    return [{ path: row.path, line: row.line, message }];
  });
}

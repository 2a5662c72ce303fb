// Which paths and links may stand in a manifest, so that writing the tree can't touch anything
// outside its folder (PROTOCOL.md 2.2). Every rule returns what is wrong as words, or undefined.
// Doesn't look at a disk: whoever writes files also opens them without following links. Paths that
// differ only in case or in Unicode normalization are different, as on Linux.
import { pathBytesMax, pathComponentBytesMax } from "../limits.ts";
import type { ManifestEntry } from "./manifest.ts";

/** A relative path of plain components: no `.`, `..`, empty component, NUL or unpaired surrogate. */
export function pathProblem(path: string): string | undefined {
  if (path.length === 0) return "is empty";
  if (path.startsWith("/")) return "is absolute";
  const textProblem = encodingProblem(path);
  if (textProblem !== undefined) return textProblem;
  for (const component of path.split("/")) {
    const problem = componentProblem(component);
    if (problem !== undefined) return problem;
  }
  return undefined;
}

/**
 * A link's target must be relative and stay in the tree. `..` may only stand in front: the folders
 * above a link are real folders (`entriesProblem`), so leading `..` go where they seem to; after
 * another component they don't, because that component may itself be a link (`s/../../x`).
 */
export function targetProblem(path: string, target: string): string | undefined {
  if (target.length === 0) return "is empty";
  if (target.startsWith("/")) return "is absolute";
  const textProblem = encodingProblem(target);
  if (textProblem !== undefined) return textProblem;
  let depth = path.split("/").length - 1;
  let named = false;
  for (const component of target.split("/")) {
    if (component === ".") continue;
    if (component === "..") {
      if (named) return "has .. after another component";
      depth -= 1;
      if (depth < 0) return "leaves the tree";
      continue;
    }
    const problem = componentProblem(component);
    if (problem !== undefined) return problem;
    named = true;
  }
  return undefined;
}

/**
 * Checks order, duplicates and parents of a whole list in time linear in its bytes. In byte order
 * every entry between `a` and `a/b` begins with `a`; so the files and links that are a prefix of
 * the current path form a stack, and only its top can be a new parent.
 */
export function entriesProblem(entries: readonly ManifestEntry[]): string | undefined {
  const prefixes: string[] = [];
  let previous = "";
  for (const entry of entries) {
    const { path } = entry;
    const problem = pathProblem(path);
    if (problem !== undefined) return `path ${quote(path)} ${problem}`;
    if (previous !== "") {
      const order = comparePaths(previous, path);
      if (order === 0) return `path ${quote(path)} stands there twice`;
      if (order > 0) return `path ${quote(path)} is out of order`;
    }
    previous = path;
    if (entry.type === "link") {
      const wrong = targetProblem(path, entry.target);
      if (wrong !== undefined) return `target of link ${quote(path)} ${wrong}`;
    }
    let top = prefixes.at(-1);
    while (top !== undefined && !path.startsWith(top)) {
      prefixes.pop();
      top = prefixes.at(-1);
    }
    if (top !== undefined && path[top.length] === "/") {
      return `path ${quote(path)} lies below ${quote(top)}, which isn't a folder`;
    }
    if (entry.type !== "directory") prefixes.push(path);
  }
  return undefined;
}

/**
 * Order by the bytes of UTF-8, without encoding: UTF-16 differs from it only in that surrogates
 * (which stand for the largest code points) come before U+E000 … U+FFFF. Both must be well formed.
 */
export function comparePaths(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let index = 0; index < length; index += 1) {
    const left = a.charCodeAt(index);
    const right = b.charCodeAt(index);
    if (left !== right) return byteOrderKey(left) - byteOrderKey(right);
  }
  return a.length - b.length;
}

/** Length of well-formed text in UTF-8. */
export function utf8Length(text: string): number {
  let bytes = 0;
  for (let index = 0; index < text.length; index += 1) {
    const unit = text.charCodeAt(index);
    // Each half of a surrogate pair counts 2 of the pair's 4 bytes.
    bytes += unit < 0x80 ? 1 : unit < 0x800 || isSurrogate(unit) ? 2 : 3;
  }
  return bytes;
}

/** For messages: quoted, control characters escaped, never more than a line. */
export function quote(path: string): string {
  return JSON.stringify(path.length > 200 ? `${path.slice(0, 200)}…` : path);
}

function encodingProblem(text: string): string | undefined {
  if (!text.isWellFormed()) return "isn't Unicode";
  if (text.includes("\0")) return "has a NUL";
  return utf8Length(text) > pathBytesMax ? `is longer than ${pathBytesMax} bytes` : undefined;
}

function componentProblem(component: string): string | undefined {
  if (component === "") return "has an empty component";
  if (component === ".") return "has a . component";
  if (component === "..") return "has a .. component";
  if (component.length * 3 <= pathComponentBytesMax) return undefined;
  if (utf8Length(component) <= pathComponentBytesMax) return undefined;
  return `has a component longer than ${pathComponentBytesMax} bytes`;
}

function isSurrogate(unit: number): boolean {
  return unit >= 0xd800 && unit <= 0xdfff;
}

function byteOrderKey(unit: number): number {
  return isSurrogate(unit) ? unit + 0x10000 : unit;
}

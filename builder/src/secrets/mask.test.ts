import { secretBytesMin } from "@shoal/core/limits";
import fc from "fast-check";
import { expect, test } from "vitest";
import { MaskedStream, SecretMask } from "./mask.ts";

function maskOf(...secrets: readonly string[]): SecretMask {
  const mask = new SecretMask();
  for (const [index, secret] of secrets.entries()) mask.set(`secret ${index}`, secret);
  return mask;
}

/** What comes out when the text is written in these portions. */
function written(mask: SecretMask, portions: readonly (string | Uint8Array)[]): string {
  const stream = new MaskedStream(mask);
  const out = portions.map((portion) => stream.push(Buffer.from(portion)));
  return Buffer.concat([...out, stream.end()]).toString("utf8");
}

test("covers a secret however the writes part it", () => {
  const mask = maskOf("hunter2-hunter2");
  const bytes = Buffer.from("a hunter2-hunter2 b\n");
  for (let cut = 0; cut <= bytes.length; cut += 1) {
    expect(written(mask, [bytes.subarray(0, cut), bytes.subarray(cut)])).toBe("a *** b\n");
  }
  expect(written(mask, bytes.toString().split(""))).toBe("a *** b\n");
});

test("covers every byte of secrets that overlap, and once where they touch", () => {
  const mask = maskOf("abcdefgh", "fghijklm");
  expect(written(mask, ["-abcdefghijklm-"])).toBe("-***-");
  expect(written(mask, "-abcdefghijklm-".split(""))).toBe("-***-");
  expect(written(mask, ["abcdefghabcdefgh", "abcdefgh"])).toBe("***");
});

test("lets out at once what can't be the beginning of a secret", () => {
  const stream = new MaskedStream(maskOf("hunter2-hunter2"));
  expect(Buffer.from(stream.push(Buffer.from("compiling\nhunt"))).toString()).toBe("compiling\n");
  expect(Buffer.from(stream.push(Buffer.from("ing\n"))).toString()).toBe("hunting\n");
});

test("covers the beginning of a secret that the end cuts off, unless it tells nothing", () => {
  const mask = maskOf("hunter2-hunter2");
  expect(written(mask, ["it is hunter2-hun"])).toBe("it is ***");
  expect(written(mask, ["it is hunt"])).toBe("it is hunt");
});

test.for([
  ["in base64, at any place of it", Buffer.from("user:hunter2-hunter2?").toString("base64")],
  ["in base64 for URLs", Buffer.from("{}hunter2-hunter2}").toString("base64url")],
  ["percent-encoded", encodeURIComponent("p@ss/wörd with space")],
  ["as JSON", JSON.stringify({ key: 'quote"d and\nmore' })],
] as const)("knows a secret %s", ([, text]) => {
  const mask = maskOf("hunter2-hunter2", "p@ss/wörd with space", 'quote"d and\nmore');
  const shown = written(mask, [text]);
  expect(shown).toContain("***");
  expect(shown.replace("***", "").length).toBeLessThan(secretBytesMin + 5);
});

test("covers the lines of a secret of several, also when they end otherwise", () => {
  const mask = maskOf("-----BEGIN KEY-----\nline-one-of-it\nline-two-of-it\n-----END KEY-----\n");
  expect(written(mask, ["> line-one-of-it\r\n> line-two-of-it\r\n"])).toBe("> ***\r\n> ***\r\n");
});

test("leaves the end of the line alone when the file of a secret ends with one", () => {
  expect(written(maskOf("hunter2-hunter2\n"), ["hunter2-hunter2\nnext\n"])).toBe("***\nnext\n");
});

test("covers a secret that isn't text", () => {
  const secret = Uint8Array.from([0, 255, 254, 1, 2, 3, 200, 201, 10]);
  const mask = new SecretMask();
  mask.set("binary", secret);
  expect(written(mask, [Buffer.from("<"), secret, Buffer.from(">")])).toBe("<***>");
});

test("covers nothing for a secret that is too short, and nothing more for one that was replaced", () => {
  const mask = maskOf("short");
  expect(mask.text("short")).toBe("short");
  mask.set("grant", "the-first-grant");
  mask.set("grant", "the-second-one");
  expect(mask.text("the-first-grant, the-second-one")).toBe("the-first-grant, ***");
});

test("remembers how much of what it holds back is covered when a write lets nothing out", () => {
  const mask = maskOf("abbbbaaa", "aabaaaaa"); // The second may begin in the first one's last byte.
  expect(written(mask, ["abbbbaaaa", "", "."])).toBe("***a.");
});

test("covers the longer of two that overlap when what follows is held back", () => {
  const mask = maskOf("abcdefghij", "bcdefghi", "ijklmnop");
  expect(written(mask, ["abcdefghij", "", "."])).toBe("***.");
});

test("does what looking at every byte of the whole text would do", () => {
  const letters = fc.constantFrom("a", "b");
  const secretText = fc.string({ unit: letters, minLength: 8, maxLength: 12 });
  const text = fc.string({ unit: fc.constantFrom("a", "b", "a", "b", "c"), maxLength: 60 });
  fc.assert(
    fc.property(
      fc.array(secretText, { minLength: 1, maxLength: 3 }),
      fc.array(fc.oneof(text, secretText), { maxLength: 6 }),
      (secrets, portions) => {
        const whole = `${portions.join("")}.`; // So that the end cuts nothing off.
        const covered = Array.from(whole, () => false);
        for (const secret of secrets) {
          for (let at = whole.indexOf(secret); at !== -1; at = whole.indexOf(secret, at + 1)) {
            covered.fill(true, at, at + secret.length);
          }
        }
        const expected = Array.from(whole, (letter, at) => {
          if (covered[at] !== true) return letter;
          return covered[at - 1] === true ? "" : "***";
        });
        expect(written(maskOf(...secrets), [...portions, "."])).toBe(expected.join(""));
      },
    ),
    { numRuns: 500 },
  );
});

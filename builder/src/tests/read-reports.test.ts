// Reports as test runners leave them, and as somebody would write them who means harm.
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { testCasesKeptMax, testMessageCharsMax, testReportBytesMax } from "@shoal/core/limits";
import { afterEach, beforeEach, expect, test } from "vitest";
import { findReports } from "./find-reports.ts";
import { readReports } from "./read-reports.ts";

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "shoal-reports-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function write(path: string, text: string | Uint8Array): void {
  mkdirSync(dirname(join(folder, path)), { recursive: true });
  writeFileSync(join(folder, path), text);
}

async function read(patterns: readonly string[] = [], sinceMs = 0) {
  const found = await findReports({ folder, patterns, sinceMs });
  const { cases, coverage, files } = await readReports(folder, found, ["/build"]);
  return { ...cases.sum(), failures: cases.failures(5), coverage: coverage.sum(), files };
}

const junit = `<?xml version="1.0" encoding="UTF-8"?>
<testsuites>
  <testsuite name="outer"><testsuite name="inner">
    <testcase classname="math" name="adds" time="0.25"/>
    <testcase name="has no class" time="1,000.5"/>
    <testcase classname="math" name="divides" time="0.1">
      <failure message="expected 2">expected 2
        at math.test.ts:3</failure>
    </testcase>
    <testcase classname="math" name="breaks"><error><![CDATA[<boom> & co]]></error></testcase>
    <testcase classname="math" name="waits"><skipped message="later"/></testcase>
  </testsuite></testsuite>
</testsuites>`;

const cobertura = `<?xml version="1.0" ?>
<!DOCTYPE coverage SYSTEM "http://cobertura.sourceforge.net/xml/coverage-04.dtd">
<coverage line-rate="0.5"><packages><package name="p"><classes>
  <class name="A" filename="/build/src/a.py"><methods><method name="m"><lines>
      <line number="1" hits="9"/><line number="99" hits="9"/></lines></method></methods>
    <lines><line number="1" hits="1"/><line number="2" hits="0"/>
      <line number="3" hits="4" branch="true" condition-coverage="50% (1/2)"/></lines></class>
</classes></package></packages></coverage>`;

const lcov = `TN:
SF:src/b.ts
FN:1,f
DA:1,3
DA:2,0
BRDA:2,0,0,1
BRDA:2,0,1,-
LF:2
LH:1
end_of_record
`;

test("reads JUnit, Cobertura and lcov by their usual names", async () => {
  write("out/junit-unit.xml", junit);
  write("coverage.xml", cobertura);
  write("coverage/lcov.info", lcov);
  write("node_modules/dep/coverage/lcov.info", lcov.replace("b.ts", "dep.ts"));
  const sum = await read();
  expect(sum).toMatchObject({ passed: 2, failed: 1, errored: 1, skipped: 1, casesTotal: 5 });
  expect(sum.failures).toEqual(["math › divides", "math › breaks"]);
  expect(sum.cases.slice(0, 2)).toMatchObject([
    { name: "divides", durationMs: 100, message: "expected 2\n        at math.test.ts:3" },
    { name: "breaks", state: "errored", durationMs: null, message: "<boom> & co" },
  ]);
  expect(sum.cases[3]).toMatchObject({
    suite: "inner",
    name: "has no class",
    durationMs: 1_000_500,
  });
  expect(sum.coverage).toEqual({
    ...{ lines: 5, linesHit: 3, branches: 4, branchesHit: 2, filesTotal: 2 },
    files: [
      { path: "src/b.ts", lines: 2, linesHit: 1 },
      { path: "src/a.py", lines: 3, linesHit: 2 },
    ],
  });
  expect(sum.files).toEqual([
    { path: "coverage.xml", format: "cobertura", problem: null },
    { path: "coverage/lcov.info", format: "lcov", problem: null },
    { path: "out/junit-unit.xml", format: "junit", problem: null },
  ]);
});

test.for([
  [
    "an entity of its own",
    '<!DOCTYPE a [<!ENTITY b "c">]><testsuite>&b;</testsuite>',
    /declarations/,
  ],
  ["an unknown entity", "<testsuite>&b;</testsuite>", /entity/],
  ["an unclosed element", "<testsuite><testcase name='a'>", /unclosed/i],
  ["elements that nest too deeply", "<testsuite>".repeat(500), /nest/],
  ["another root", "<html></html>", /root element/],
  ["no XML at all", "hello", /./],
  ["bytes that aren't UTF-8", new Uint8Array([0x3c, 0xff, 0xfe]), /UTF-8/],
] as const)("names a report with %s, and reads the others", async ([, text, problem]) => {
  write("junit.xml", text);
  write("other/junit.xml", junit);
  const sum = await read();
  expect(sum.casesTotal).toBe(5);
  expect(sum.files[0]?.problem).toMatch(problem);
  expect(sum.files[1]?.problem).toBeNull();
});

test("names an lcov file that is cut off or isn't one", async () => {
  write("a.lcov", lcov.replace("end_of_record\n", ""));
  write("b.lcov", "hello\n");
  write("c.lcov", "SF:a\nDA:x,1\nend_of_record\n");
  expect((await read()).files.map(({ problem }) => problem)).toEqual([
    "it ends within a record",
    "it has no record of a source file",
    "it has a DA line that isn't one",
  ]);
});

test("counts a line once, however many reports name it", async () => {
  write("a.lcov", "SF:x\nDA:1,0\nDA:2,0\nend_of_record\n");
  write("b.lcov", "SF:x\nDA:1,5\nend_of_record\n");
  expect((await read()).coverage).toMatchObject({ lines: 2, linesHit: 1, filesTotal: 1 });
});

test("takes regular files below the checkout only, and only what the stage wrote", async () => {
  write("secret/junit.xml", junit);
  write("old/junit.xml", junit);
  utimesSync(join(folder, "old/junit.xml"), 1000, 1000);
  mkdirSync(join(folder, "checkout"));
  symlinkSync(join(folder, "secret/junit.xml"), join(folder, "checkout/junit.xml"));
  symlinkSync(join(folder, "secret"), join(folder, "checkout/linked"));
  mkdirSync(join(folder, "checkout/TEST-folder.xml"));
  const search = { folder: join(folder, "checkout"), patterns: [], sinceMs: 0 };
  expect(await findReports(search)).toEqual([]);
  expect((await read(["**/*.xml"], Date.now() - 60_000)).files.map(({ path }) => path)).toEqual([
    "secret/junit.xml",
  ]);
});

test("keeps a report of any size under its limits, the failed cases first", async () => {
  const name = "n".repeat(400);
  const bad = `<testcase name="${name}"><failure>${"m".repeat(3000)}</failure></testcase>`;
  const good = Array.from({ length: 6000 }, (_, n) => `<testcase name="good ${n}"/>`).join("");
  write("junit.xml", `<testsuite>${good}${bad.repeat(800)}</testsuite>`);
  const { failures, coverage, files, ...sum } = await read();
  expect([failures.length, coverage, files.length]).toEqual([5, null, 1]);
  expect(sum).toMatchObject({ passed: 6000, failed: 800, casesTotal: 6800 });
  expect(sum.cases.length).toBeLessThanOrEqual(testCasesKeptMax);
  expect(sum.cases[0]).toMatchObject({ state: "failed" });
  expect(sum.cases[0]?.message?.length).toBe(testMessageCharsMax);
  expect(Buffer.byteLength(JSON.stringify(sum))).toBeLessThan(testReportBytesMax);
});

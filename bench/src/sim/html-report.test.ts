import { expect, test } from "vitest";
import { htmlReport } from "./html-report.ts";

const run = { tookMs: [1000, 2000, Infinity], bytesFromSeeders: 1, bytesFromPeers: 3 };

test("a report is one page that fetches nothing, with a curve for each run", () => {
  const runs = ["ours", "<kraken>"].map((name) => ({ ...run, name }));
  const page = htmlReport("A world", 900, runs, { hosts: 3 });
  expect(page.match(/<polyline/gu)).toHaveLength(2);
  expect(page).toContain("&lt;kraken&gt;");
  expect(page).not.toMatch(/https?:|src=|@import|<script/u);
});

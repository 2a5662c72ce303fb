import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { openApiDocument } from "./openapi.ts";
import { allRoutes } from "./routes.ts";

test("describes every route once, with its body and its answer", () => {
  const paths = openApiDocument()["paths"] as Record<string, Record<string, unknown>>;
  const operations = Object.values(paths).flatMap((methods) => Object.keys(methods));
  expect(operations.length).toBe(allRoutes().length);
  expect(paths["/v1/builds"]).toMatchObject({
    post: {
      operationId: "builds.start",
      "x-shoal-role": "admin",
      requestBody: {
        content: { "application/json": { schema: { required: ["project", "commit"] } } },
      },
      responses: { 201: {}, default: {} },
    },
  });
  expect(paths["/v1/services/{environment}/{service}/deploy"]).toMatchObject({
    post: {
      parameters: [{ name: "environment", in: "path", required: true }, { name: "service" }],
    },
  });
});

test("has every route that the protocol's table promises", () => {
  const protocol = readFileSync(new URL("../../../docs/PROTOCOL.md", import.meta.url), "utf8");
  const table = protocol.slice(protocol.indexOf("## 4."), protocol.indexOf("## 5."));
  const promised = [...table.matchAll(/(GET|POST|PATCH) (\/[a-z][^\s·|?]*)/g)]
    .map(([, method, path]) => `${method} ${path}`)
    .filter((row) => !/livez|readyz|openapi/.test(row));
  const have = new Set(allRoutes().map(([, route]) => `${route.method} ${route.path}`));
  expect(promised.length).toBeGreaterThan(25);
  expect(promised.filter((row) => !have.has(row))).toEqual([]);
});

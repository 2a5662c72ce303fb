// The OpenAPI 3.1 document, made from the route table and its schemas: what is written there is what
// the server checks and the client decodes.
import { z } from "zod";
import { problem } from "./control-plane.ts";
import { problemMediaType } from "./problem.ts";
import { type Route, plainText, rawBytes } from "./route.ts";
import { allRoutes } from "./routes.ts";

type Json = Record<string, unknown>;

/** The document as a plain object, ready for JSON. */
export function openApiDocument(): Json {
  const paths: Record<string, Json> = {};
  for (const [operation, route] of allRoutes()) {
    const path = `/v1${route.path.replace(/:([a-z]+)/g, "{$1}")}`;
    paths[path] = { ...paths[path], [route.method.toLowerCase()]: operationOf(operation, route) };
  }
  return {
    openapi: "3.1.0",
    info: { title: "Shoal control plane", version: "1", license: { name: "Apache-2.0" } },
    paths,
    components: {
      securitySchemes: { token: { type: "http", scheme: "bearer" } },
      schemas: { problem: schemaOf(problem, "output") },
    },
  };
}

function operationOf(operation: string, route: Route): Json {
  return {
    operationId: operation,
    summary: route.summary,
    tags: [operation.slice(0, operation.indexOf("."))],
    ...(route.role === "any" ? {} : { security: [{ token: [] }], "x-shoal-role": route.role }),
    parameters: [...parametersOf(route.params, "path"), ...parametersOf(route.query, "query")],
    ...(route.body === null ? {} : { requestBody: requestBodyOf(route) }),
    responses: {
      [route.status]: {
        description: "Done.",
        ...(route.answer === null ? {} : { content: contentOf(route) }),
      },
      default: {
        description: "A problem (RFC 9457).",
        content: { [problemMediaType]: { schema: { $ref: "#/components/schemas/problem" } } },
      },
    },
  };
}

function requestBodyOf(route: Route): Json {
  const { body } = route;
  const content =
    body === null || body === rawBytes
      ? { "application/octet-stream": {} }
      : { "application/json": { schema: schemaOf(body, "input") } };
  return { required: true, content };
}

function contentOf(route: Route): Json {
  const { answer } = route;
  if (answer === null || answer === plainText) return { "text/plain": {} };
  return { "application/json": { schema: schemaOf(answer, "output") } };
}

function parametersOf(fields: z.ZodObject, where: "path" | "query"): Json[] {
  const schema = schemaOf(fields, "output");
  const properties = (schema["properties"] ?? {}) as Record<string, Json>;
  return Object.entries(properties).map(([key, value]) => ({
    name: key,
    in: where,
    required: where === "path" || fields.shape[key]?.safeParse(undefined).success === false,
    schema: value,
  }));
}

/** Refinements (names, ids) have no JSON Schema: they are shown as plain strings. */
function schemaOf(schema: z.ZodType, io: "input" | "output"): Json {
  const { $schema, ...rest } = z.toJSONSchema(schema, { io, unrepresentable: "any" }) as Json;
  void $schema;
  return rest;
}

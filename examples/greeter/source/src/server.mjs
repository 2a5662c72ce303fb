// The greeter: GET /?name= greets, /health tells whether it is well, /version what it is, and
// /voices/<file> plays. Listens on 127.0.0.1 and PORT; ends on SIGTERM.
import { createReadStream, readFileSync } from "node:fs";
import { createServer } from "node:http";
import { pipeline } from "node:stream";
import { chooseLanguage, greet } from "./app/greet.mjs";
import { missingVoices } from "./app/health.mjs";

const catalog = JSON.parse(readFileSync(new URL("./app/catalog.json", import.meta.url), "utf8"));
const voices = new URL("./voices/", import.meta.url);
const files = new Set(Object.values(catalog.languages).map((language) => language.voice));

const server = createServer((request, response) => {
  answer(request, response).catch((error) => {
    console.error(error);
    send(response, 500, { error: "internal" });
  });
});

async function answer(request, response) {
  const url = new URL(request.url, "http://greeter");
  if (url.pathname === "/version") return send(response, 200, { version: catalog.version });
  if (url.pathname === "/health") {
    const missing = await missingVoices(catalog, voices);
    return send(response, missing.length === 0 ? 200 : 500, { ok: missing.length === 0, missing });
  }
  if (url.pathname.startsWith("/voices/")) {
    const file = url.pathname.slice("/voices/".length);
    if (!files.has(file)) return send(response, 404, { error: "no such voice" });
    response.writeHead(200, { "content-type": "application/octet-stream" });
    return pipeline(createReadStream(new URL(file, voices)), response, () => {});
  }
  if (url.pathname !== "/") return send(response, 404, { error: "not found" });
  const code = chooseLanguage(catalog, request.headers["accept-language"]);
  const greeting = greet(catalog, code, url.searchParams.get("name") ?? "you");
  return send(response, 200, { greeting, language: code, version: catalog.version });
}

function send(response, status, body) {
  if (!response.headersSent) response.writeHead(status, { "content-type": "application/json" });
  response.end(`${JSON.stringify(body)}\n`);
}

server.listen(Number(process.env.PORT ?? 8080), "127.0.0.1", () => {
  console.log(`greeter ${catalog.version} listens on ${server.address().port}`);
});
process.on("SIGTERM", () => {
  server.close(() => process.exit(0));
  server.closeAllConnections();
});

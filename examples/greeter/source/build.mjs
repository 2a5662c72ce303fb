// Builds the greeter into dist/: the server's modules, the catalog compiled from greetings/*.txt,
// one page for each language, and the recorded voices, which are made from the seeds in voices.json
// instead of being kept in git. The same sources give the same bytes on every machine.
import {
  chmodSync,
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { voiceBytes } from "./src/voice-maker.mjs";

const { version } = JSON.parse(readFileSync("package.json", "utf8"));
const voices = JSON.parse(readFileSync("voices.json", "utf8"));

rmSync("dist", { recursive: true, force: true });
for (const folder of ["app", "bin", "cache", "pages", "voices"]) {
  mkdirSync(`dist/${folder}`, { recursive: true });
}

for (const file of ["health.mjs", "greet.mjs"]) cpSync(`src/${file}`, `dist/app/${file}`);
cpSync("src/server.mjs", "dist/server.mjs");

const catalog = { version, languages: {} };
for (const file of readdirSync("greetings").sort()) {
  const code = file.replace(/\.txt$/, "");
  const [language, greeting] = readFileSync(`greetings/${file}`, "utf8").split("\n");
  const voice = voiceBytes(voices[code]);
  console.log(`voice ${code}: ${voice.length} bytes`);
  writeFileSync(`dist/voices/${code}.pcm`, voice);
  writeFileSync(`dist/pages/${code}.html`, page(language, greeting));
  catalog.languages[code] = { language, greeting, voice: `${code}.pcm`, voiceBytes: voice.length };
}
writeFileSync("dist/app/catalog.json", `${JSON.stringify(catalog, null, 2)}\n`);

symlinkSync("en.pcm", "dist/voices/default.pcm");
writeFileSync("dist/bin/greeter", '#!/bin/sh\nexec node "$(dirname "$0")/../server.mjs" "$@"\n');
chmodSync("dist/bin/greeter", 0o755);
console.log(`greeter ${version} built`);

function page(language, greeting) {
  return `<!doctype html>\n<meta charset="utf-8">\n<title>${language}</title>\n<h1>${greeting}</h1>\n`;
}

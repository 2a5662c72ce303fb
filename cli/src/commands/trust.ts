// `shoal trust …`: the document that says which key may sign what. Signing needs the root key and no
// network; publishing needs the network and no key. And `shoal revoke`, which shuts somebody out.
import { readTrustChain } from "@shoal/trust/trust-file";
import type { TrustDocument } from "@shoal/trust/trust-document";
import { hourMs } from "@shoal/core/units";
import { ShoalError } from "@shoal/core/error";
import { type Command, InvalidArgumentError } from "commander";
import { readFile } from "node:fs/promises";
import {
  initTrust,
  isTrustUse,
  rotateKey,
  rotateRoot,
  showTrust,
  signTrust,
  type RotateOptions,
  type TrustUse,
} from "../trust-folder.ts";
import { parseInteger } from "./build.ts";
import { commonOptions, type CommandContext, type CommonOptions } from "./context.ts";
import { printAnswer } from "./print.ts";

interface JsonOption {
  readonly json?: boolean;
}

export function addTrustCommands(program: Command, context: CommandContext): void {
  const trust = program.command("trust").description("Which keys may sign what, and until when");
  addOffline(trust);
  addRotate(trust);
  commonOptions(trust.command("publish"))
    .description("Give everybody a trust document; only the root's signature lets it pass")
    .argument("<file>", "trust.json as signed")
    .action(async (file: string, options: CommonOptions) => {
      const documents = await readTrustChain(file);
      const answer = await context.connect(options).trust.publish({ documents });
      printAnswer(
        answer,
        options.json === true,
        ({ version, expires }) => `everybody gets version ${version}, good until ${expires}`,
      );
    });
  commonOptions(program.command("revoke"))
    .description("Shut a host or seeder out for good; it may come back with a new key and token")
    .argument("<peer-id>", "as `shoal hosts --json` names it")
    .action(async (peerId: string, options: CommonOptions) => {
      const answer = await context.connect(options).revocations.create({ peerId });
      printAnswer(answer, options.json === true, (revoked) => `${revoked.peerId} is shut out`);
    });
}

function addOffline(trust: Command): void {
  trust
    .command("init")
    .description("Make a root key and a document that trusts nobody yet, in a folder")
    .argument("<dir>")
    .option("--json", "print the answer as one JSON line")
    .action(async (dir: string, options: JsonOption) => {
      printAnswer(await initTrust(dir, Date.now()), options.json === true, describeTrust);
    });
  trust
    .command("show")
    .description("The newest trust document of a folder, verified")
    .argument("<dir>")
    .option("--root-public-key <key>", "instead of the folder's")
    .option("--json", "print it as JSON, to change it and sign it again")
    .action(async (dir: string, options: JsonOption & { rootPublicKey?: string }) => {
      const { document } = await showTrust(dir, options.rootPublicKey);
      printAnswer(document, options.json === true, describeTrust);
    });
  trust
    .command("sign")
    .description("Sign a changed document with the folder's root key, as the next version")
    .argument("<dir>")
    .argument("<document>", "file as `shoal trust show --json` prints it")
    .option("--json", "print the answer as one JSON line")
    .action(async (dir: string, file: string, options: JsonOption) => {
      const signed = await signTrust(dir, await readFile(file, "utf8"), Date.now());
      printAnswer(signed, options.json === true, describeTrust);
    });
}

function addRotate(trust: Command): void {
  trust
    .command("rotate")
    .description("Let a new key sign what an old one may, beside it; or introduce a new root")
    .argument("<dir>")
    .argument("<name>", "of the key file without .jwk: control-plane, builder, …, or root")
    .option("--use <use>", "only statements, goals, passports or grants", parseUse)
    .option("--overlap-hours <number>", "how long the old key stays good", parseInteger)
    .option("--json", "print the answer as one JSON line")
    .action(
      async (
        dir: string,
        name: string,
        options: JsonOption & { use?: TrustUse; overlapHours?: number },
      ) => {
        const { use, overlapHours } = options;
        const overlapMs = overlapHours === undefined ? undefined : overlapHours * hourMs;
        const how: RotateOptions = { use, overlapMs };
        if (name === "root" && (use !== undefined || overlapMs !== undefined)) {
          throw new ShoalError("config_invalid", "A root has neither --use nor --overlap-hours.", {
            blame: "local",
          });
        }
        const rotated =
          name === "root"
            ? await rotateRoot(dir, Date.now())
            : await rotateKey(dir, name, how, Date.now());
        printAnswer(
          rotated,
          options.json === true,
          ({ document, keyFile, keyId }) =>
            `version ${document.version} also trusts ${keyId}, which is ${keyFile}`,
        );
      },
    );
}

function parseUse(text: string): TrustUse {
  if (isTrustUse(text)) return text;
  throw new InvalidArgumentError("It is one of statements, goals, passports, grants.");
}

function describeTrust(document: TrustDocument): string {
  const { version, issuedAt, expires, keys, statements, goals, passports, grants } = document;
  const named = (names: "*" | readonly string[]): string => (names === "*" ? "*" : names.join(","));
  const rows = [
    ...statements.map(({ key, projects }) => [key, `statements of ${named(projects)}`] as const),
    ...goals.map(({ key, environments }) => [key, `goals of ${named(environments)}`] as const),
    ...passports.map(({ key, regions }) => [key, `passports of ${named(regions)}`] as const),
    ...grants.map(({ key, regions }) => [key, `grants of ${named(regions)}`] as const),
  ];
  return [
    `version ${version}, of ${issuedAt}, good until ${expires}`,
    ...keys.map(({ id, notAfter }) => {
      const may = rows.flatMap(([key, what]) => (key === id ? [what] : []));
      return `${id}  until ${notAfter}  ${may.join("; ")}`;
    }),
  ].join("\n");
}

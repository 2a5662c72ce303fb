// `shoal secret create-key|set|unset`: secrets of services, sealed here for the environment's key. What is
// sealed can't be read back, by nobody but hosts.
import type { Command } from "commander";
import type { Client } from "@shoal/api/client";
import { ShoalError } from "@shoal/core/error";
import { serviceSecretBytesMax } from "@shoal/core/limits";
import { SecretsKey, sealSecret } from "@shoal/trust/sealed-secret";
import { commonOptions, splitService, type CommandContext, type CommonOptions } from "./context.ts";
import { printAnswer } from "./print.ts";

export function addSecretCommands(program: Command, context: CommandContext): void {
  const secret = program
    .command("secret")
    .description("Secrets that services find as files; only their hosts can open them");
  secret
    .command("create-key")
    .description("Make an environment's key in a file for its hosts, and print its public half")
    .argument("<file>")
    .action(async (file: string) => {
      const key = SecretsKey.create();
      await key.write(file);
      process.stdout.write(`${key.publicKey}\n`);
    });
  commonOptions(secret.command("set"))
    .description("Read a secret from standard input and seal it; the next deploy brings it")
    .argument("<service>", "environment/service, or service in production")
    .argument("<name>", "name of its file in the folder that SHOAL_SECRETS names")
    .option(
      "--key <public key>",
      "instead of the one that the control plane has of the environment",
    )
    .action(
      async (target: string, name: string, options: CommonOptions & { readonly key?: string }) => {
        const { environment, service } = splitService(target);
        const client = context.connect(options);
        const key = options.key ?? (await keyOf(client, environment));
        const value = await readInput();
        const sealed = sealSecret(key, { environment, service, name }, value);
        await change(client, target, (secrets) => ({ ...secrets, [name]: sealed }));
        printAnswer({ name }, options.json === true, () => `${name} is sealed for ${key}`);
      },
    );
  commonOptions(secret.command("unset"))
    .description("Take a secret away; the next deploy is without it")
    .argument("<service>", "environment/service, or service in production")
    .argument("<name>")
    .action(async (target: string, name: string, options: CommonOptions) => {
      const client = context.connect(options);
      await change(client, target, (secrets) =>
        Object.fromEntries(Object.entries(secrets).filter(([other]) => other !== name)),
      );
      printAnswer({ name }, options.json === true, () => `${name} is gone`);
    });
}

type Secrets = NonNullable<Awaited<ReturnType<Client["services"]["get"]>>["run"]["secrets"]>;

async function change(
  client: Client,
  target: string,
  edit: (secrets: Secrets) => Secrets,
): Promise<void> {
  const { environment, service } = splitService(target);
  const { run } = await client.services.get(environment, service);
  const secrets = edit(run.secrets ?? {});
  await client.services.update(environment, service, { run: { ...run, secrets } });
}

async function keyOf(client: Client, environment: string): Promise<string> {
  const { secretsKey } = await client.environments.get(environment);
  if (secretsKey !== null) return secretsKey;
  throw new ShoalError("config_invalid", `${environment} has no key for secrets.`, {
    blame: "local",
    hint: "Make one with shoal secret create-key, and give it to shoal environment update --secrets-key.",
  });
}

async function readInput(): Promise<Uint8Array> {
  const parts: Buffer[] = [];
  let length = 0;
  for await (const part of process.stdin) {
    const bytes = Buffer.from(part as Uint8Array);
    length += bytes.length;
    if (length > serviceSecretBytesMax) {
      throw new ShoalError(
        "config_invalid",
        `A secret has at most ${serviceSecretBytesMax} bytes.`,
        {
          blame: "local",
        },
      );
    }
    parts.push(bytes);
  }
  return Buffer.concat(parts);
}

// How a command finds its control plane: flags, else environment. The token itself is never a flag,
// because other users of the machine can read command lines. Its variables aren't those of the processes'
// own `token`: a builder that is started in a person's shell must not take the person's.
import { createClient, type Client } from "@shoal/api/client";
import { ShoalError } from "@shoal/core/error";
import { readFileSync } from "node:fs";
import type { Environment } from "./environment.ts";

export interface ConnectionOptions {
  readonly url?: string | undefined;
  readonly tokenFile?: string | undefined;
}

/** Makes a client, or throws `config_invalid` with what to set. */
export function connect(options: ConnectionOptions, environment: Environment): Client {
  const url = options.url ?? environment["SHOAL_URL"];
  if (url === undefined) {
    throw new ShoalError("config_invalid", "No control plane was named.", {
      blame: "local",
      hint: "Set SHOAL_URL or give --url, for example http://127.0.0.1:8080",
    });
  }
  return createClient({ url, token: readToken(options, environment) });
}

function readToken(options: ConnectionOptions, environment: Environment): string {
  const file = options.tokenFile ?? environment["SHOAL_ADMIN_TOKEN_FILE"];
  if (file !== undefined) {
    try {
      return readFileSync(file, "utf8").trim();
    } catch (cause) {
      throw new ShoalError("config_invalid", `The token file ${file} can't be read.`, {
        blame: "local",
        cause,
      });
    }
  }
  const token = environment["SHOAL_ADMIN_TOKEN"];
  if (token !== undefined) return token;
  throw new ShoalError("config_invalid", "No token was given.", {
    blame: "local",
    hint: "Set SHOAL_ADMIN_TOKEN_FILE (or SHOAL_ADMIN_TOKEN), or give --token-file",
  });
}

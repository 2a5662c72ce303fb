// What every command that talks to the control plane has in common.
import type { Command } from "commander";
import type { Client } from "@shoal/api/client";
import type { ConnectionOptions } from "../connection.ts";

export interface CommandContext {
  connect(options: ConnectionOptions): Client;
}

export interface CommonOptions extends ConnectionOptions {
  readonly json?: boolean;
}

export function commonOptions(command: Command): Command {
  return command
    .option("--json", "print the answer as one JSON line")
    .option("--url <url>", "control plane (SHOAL_URL)")
    .option("--token-file <path>", "file with the token (SHOAL_ADMIN_TOKEN_FILE)");
}

/** "production/web" or "web", which is in production. */
export function splitService(text: string): {
  readonly environment: string;
  readonly service: string;
} {
  const slash = text.indexOf("/");
  if (slash < 0) return { environment: "production", service: text };
  return { environment: text.slice(0, slash), service: text.slice(slash + 1) };
}

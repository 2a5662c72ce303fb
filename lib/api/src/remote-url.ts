// Which git remotes are fetched from. A remote is text that somebody typed into a project: it
// reaches git's command line and a network, so it is parsed here by an allow-list, and everything
// else (ext::, http, git, options that look like remotes, local paths that aren't absolute) is refused.
import { isAbsolute } from "node:path";
import { ShoalError } from "@shoal/core/error";

export type RemoteProtocol = "https" | "ssh" | "file";

export interface Remote {
  readonly protocol: RemoteProtocol;
  /** What git is given. */
  readonly url: string;
  /** The same without a user name, for statements and logs. */
  readonly publicUrl: string;
}

const scpPattern =
  /^(?:(?<user>[A-Za-z0-9._][A-Za-z0-9._-]*)@)?(?<host>[A-Za-z0-9][A-Za-z0-9.-]*):(?<path>[^:].*)$/;

/**
 * Parses `https://…`, `ssh://…`, `user@host:path`, `file:///…` or an absolute path.
 * @throws ShoalError `remote_refused` for anything else, saying what isn't allowed.
 */
export function parseRemote(text: string): Remote {
  if (text.startsWith("-")) throw refused("begins with a dash");
  if (/[\p{Cc}\p{Zl}\p{Zp}]/u.test(text)) throw refused("has control characters");
  if (isAbsolute(text)) return { protocol: "file", url: text, publicUrl: text };
  if (text.includes("::")) throw refused("names a transport helper");
  if (text.includes("://")) return parseUrl(text);
  const scp = scpPattern.exec(text)?.groups;
  if (scp === undefined) throw refused("is neither a URL nor an absolute path");
  return { protocol: "ssh", url: text, publicUrl: `${scp["host"]}:${scp["path"]}` };
}

function parseUrl(text: string): Remote {
  if (!URL.canParse(text)) throw refused("isn't a valid URL");
  const url = new URL(text);
  const protocol = url.protocol.slice(0, -1);
  if (protocol !== "https" && protocol !== "ssh" && protocol !== "file") {
    throw refused(`uses the protocol ${protocol}`);
  }
  if (url.password !== "") throw refused("has a password in it");
  if (protocol === "file" && url.host !== "") throw refused("names a host for the protocol file");
  if (protocol !== "file" && !/^[A-Za-z0-9[]/.test(url.hostname))
    throw refused("has no valid host");
  if (url.username.startsWith("-")) throw refused("has a user name that begins with a dash");
  url.username = "";
  return { protocol, url: text, publicUrl: url.href };
}

function refused(why: string): ShoalError {
  return new ShoalError("remote_refused", `The project's remote ${why}.`, {
    blame: "remote",
    hint: "Use https://, ssh://, user@host:path, file:///, or an absolute path.",
  });
}

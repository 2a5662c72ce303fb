// Entries of the list of hosts that a project's prepare command may reach, and whether one of them
// covers an address that the command asks for. Names are compared as text: what they resolve to is
// looked at where connections are made.

export interface NetworkHost {
  /** A lower-case DNS name or IPv4 address, or an IPv6 address in brackets. */
  readonly name: string;
  /** Null: the ports of HTTP and HTTPS. */
  readonly port: number | null;
}

const entryPattern = /^(?<name>\[[0-9a-f:.]+\]|[a-z0-9_.-]+)(?::(?<port>[0-9]{1,5}))?$/;
const labelPattern = /^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$/;
const nameCharsMax = 253;
const usualPorts: ReadonlySet<number> = new Set([80, 443]);

/** Reads `host` or `host:port`; null when it is neither. */
export function parseNetworkHost(text: string): NetworkHost | null {
  const groups = entryPattern.exec(text)?.groups;
  const name = groups?.["name"] ?? "";
  const port = groups?.["port"] === undefined ? null : Number(groups["port"]);
  const isName =
    name.length <= nameCharsMax && name.split(".").every((label) => labelPattern.test(label));
  if (!isName && !name.startsWith("[")) return null;
  if (port !== null && (port < 1 || port > 65_535)) return null;
  return { name, port };
}

/** Whether the list covers a host and port; `name` as in a URL, in any case, with or without a final dot. */
export function coversHost(list: readonly NetworkHost[], name: string, port: number): boolean {
  const wanted = name.toLowerCase().replace(/\.$/, "");
  return list.some((host) => {
    const portFits = host.port === null ? usualPorts.has(port) : host.port === port;
    return portFits && host.name === wanted;
  });
}

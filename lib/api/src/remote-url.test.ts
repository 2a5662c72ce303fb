import { expect, test } from "vitest";
import { parseRemote } from "./remote-url.ts";

test.for([
  ["https://example.org/a/b.git", "https", "https://example.org/a/b.git"],
  ["https://me@example.org:8443/b.git", "https", "https://example.org:8443/b.git"],
  ["ssh://git@example.org:22/b.git", "ssh", "ssh://example.org:22/b.git"],
  ["git@example.org:team/b.git", "ssh", "example.org:team/b.git"],
  ["example.org:b", "ssh", "example.org:b"],
  ["file:///srv/git/b", "file", "file:///srv/git/b"],
  ["/srv/git/with space", "file", "/srv/git/with space"],
] as const)("takes %s", ([text, protocol, publicUrl]) => {
  expect(parseRemote(text)).toEqual({ protocol, url: text, publicUrl });
});

test.for([
  ["--upload-pack=touch /tmp/x", "begins with a dash"],
  ["-oProxyCommand=x:y", "begins with a dash"],
  ["ext::sh -c true", "transport helper"],
  ["ext::ssh://host/%S", "transport helper"],
  ["http://example.org/b.git", "protocol http"],
  ["git://example.org/b.git", "protocol git"],
  ["ftp://example.org/b.git", "protocol ftp"],
  ["relative/path", "neither a URL nor"],
  ["./-x:y", "neither a URL nor"],
  ["-x@host:y", "begins with a dash"],
  ["ssh://-oProxyCommand=x/y", "host"],
  ["ssh://-u@host/y", "user name"],
  ["https://me:secret@example.org/b.git", "password"],
  ["https://", "valid URL"],
  ["file://host/path", "names a host"],
  ["https://example.org/a\nb", "control characters"],
  ["", "neither"],
] as const)("refuses %j", ([text, why]) => {
  expect(() => parseRemote(text)).toThrow(why);
});

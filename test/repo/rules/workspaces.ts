// Each workspace's own files of configuration: a new one that forgets its tag or its types would be
// free of the checks that read them. Versions are exact, and one package has one version.
import type { Finding, Rule } from "../rule.ts";
import type { TrackedFile } from "../tracked-file.ts";
import { roomsImportedBy } from "./rooms.ts";

interface PackageJson {
  readonly name?: string;
  readonly license?: string;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
}

export const workspaces: Rule = {
  name: "workspaces are complete",
  reads: (path) =>
    /(^|\/)(package|tsconfig|turbo)\.json$/.test(path) && !path.startsWith("examples/"),
  find: (files) => {
    const paths = new Set(files.map((file) => file.path));
    const packages = files.filter((file) => file.path.endsWith("package.json"));
    return [
      ...packages.flatMap((file) => missingFiles(file, paths)),
      ...differingVersions(packages),
    ];
  },
};

function missingFiles(file: TrackedFile, paths: ReadonlySet<string>): Finding[] {
  const folder = file.path.slice(0, -"package.json".length);
  const findings: Finding[] = ["tsconfig.json", "turbo.json"]
    .filter((name) => !paths.has(folder + name))
    .map((name) => ({ path: file.path, line: 0, message: `${folder}${name} is missing` }));
  const room = folder.slice(0, -1);
  if (room !== "" && roomsImportedBy[room] === undefined) {
    findings.push({ path: file.path, line: 0, message: `${room} is not in the import rule` });
  }
  return findings;
}

function differingVersions(packages: readonly TrackedFile[]): Finding[] {
  const versions = new Map<string, string>();
  return packages.flatMap((file) => {
    const { dependencies = {}, devDependencies = {} } = parsePackage(file);
    return Object.entries({ ...dependencies, ...devDependencies }).flatMap(([name, version]) => {
      const message = objectionToVersion(name, version, versions.get(name));
      versions.set(name, version);
      return message === undefined ? [] : [{ path: file.path, line: 0, message }];
    });
  });
}

function objectionToVersion(
  name: string,
  version: string,
  elsewhere: string | undefined,
): string | undefined {
  if (name.startsWith("@shoal/")) return version === "*" ? undefined : `${name} should be "*"`;
  if (!/^\d+\.\d+\.\d+(-[\w.]+)?$/.test(version)) return `${name} ${version} is not one version`;
  if (elsewhere === undefined || elsewhere === version) return undefined;
  return `${name} is ${version} here and ${elsewhere} in another workspace`;
}

function parsePackage(file: TrackedFile): PackageJson {
  return JSON.parse(file.text ?? "{}") as PackageJson;
}

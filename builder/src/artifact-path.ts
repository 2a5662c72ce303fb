// Finds what the build left, and makes sure that it lies in the checkout: the path comes from the
// project and the links from the build, and the builder may read what neither may.
import { realpath } from "node:fs/promises";
import { join, relative } from "node:path";
import { ShoalError } from "@shoal/core/error";

/**
 * The real path of the artifact.
 * @throws ShoalError `artifact_missing` or `artifact_escapes`.
 */
export async function findArtifact(source: string, artifactPath: string): Promise<string> {
  const root = await realpath(source);
  const wanted = join(root, artifactPath);
  if (!isInside(root, wanted)) throw escapes(artifactPath, "leads out of the checkout");
  let found: string;
  try {
    found = await realpath(wanted);
  } catch (cause) {
    throw new ShoalError("artifact_missing", `The build left nothing at ${artifactPath}.`, {
      blame: "remote",
      hint: "Check the project's artifact path, and that the build command writes there.",
      cause,
    });
  }
  if (!isInside(root, found)) throw escapes(artifactPath, "is a link out of the checkout");
  return found;
}

function isInside(root: string, path: string): boolean {
  const below = relative(root, path);
  return below !== ".." && !below.startsWith("../");
}

function escapes(artifactPath: string, why: string): ShoalError {
  return new ShoalError("artifact_escapes", `The artifact path ${artifactPath} ${why}.`, {
    blame: "remote",
  });
}

// Who programs run as, and whether that user can reach what it needs: a folder on the way that only
// root may enter would let every program fail to start, with a message that says nothing.
import { constants } from "node:fs";
import { stat } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { ShoalError } from "@shoal/core/error";
import type { ProgramUser } from "./supervise/program.ts";

/** Throws `path_unreachable` when the user may not enter every folder on the way to `path`. */
export async function requireReachable(
  path: string,
  user: ProgramUser,
  hint: string,
): Promise<void> {
  for (let folder = dirname(resolve(path)); ; folder = dirname(folder)) {
    const { mode, uid, gid } = await stat(folder);
    const bit =
      uid === user.uid
        ? constants.S_IXUSR
        : gid === user.gid
          ? constants.S_IXGRP
          : constants.S_IXOTH;
    if ((mode & bit) === 0 && user.uid !== 0) {
      throw new ShoalError(
        "path_unreachable",
        `User ${user.uid}, whom programs run as, may not enter ${folder} on the way to ${path}.`,
        { blame: "local", hint },
      );
    }
    if (folder === dirname(folder)) return;
  }
}

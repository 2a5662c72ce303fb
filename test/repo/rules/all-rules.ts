// The list of the rules of the house that no ready-made tool holds.
import type { Rule } from "../rule.ts";
import { documents } from "./documents.ts";
import { errorCodes } from "./error-codes.ts";
import { fileHeads } from "./file-heads.ts";
import { lockFile } from "./lock-file.ts";
import { focusedTests, looseEnds, silencedChecks } from "./loose-ends.ts";
import { barrels, drawerNames } from "./naming.ts";
import { processEdges } from "./process-edges.ts";
import { rooms } from "./rooms.ts";
import { binarySize, fileSize, functionSize } from "./sizes.ts";
import { testNames } from "./test-names.ts";
import { thirdPartyOwners } from "./third-parties.ts";
import { threats } from "./threats.ts";
import { workspaces } from "./workspaces.ts";

export const allRules: readonly Rule[] = [
  rooms,
  thirdPartyOwners,
  fileSize,
  functionSize,
  binarySize,
  drawerNames,
  barrels,
  fileHeads,
  looseEnds,
  focusedTests,
  silencedChecks,
  processEdges,
  testNames,
  errorCodes,
  workspaces,
  documents,
  threats,
  lockFile,
];

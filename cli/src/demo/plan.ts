// What the demo builds and deploys: the example in three versions, or one commit of somebody's project.
import type { Client } from "@shoal/api/client";
import { ShoalError } from "@shoal/core/error";
import { gibibyte, minuteMs, secondMs } from "@shoal/core/units";
import { basename, isAbsolute, join, resolve } from "node:path";
import { existsSync } from "node:fs";
import { parseHealth, parsePrepare, parseRun } from "../service-words.ts";
import { makeExampleRepository } from "./example-repository.ts";
import type { DemoOptions } from "./options.ts";

export interface PlannedVersion {
  /** For people: v1, or the beginning of a commit. */
  readonly version: string;
  readonly commit: string;
  /** Its health check is known to fail: hosts have to end on the version before it. */
  readonly fails: boolean;
}

export interface DemoPlan {
  readonly project: Parameters<Client["projects"]["create"]>[0];
  readonly service: Parameters<Client["services"]["create"]>[0] & { readonly environment: string };
  readonly versions: readonly PlannedVersion[];
}

const environment = "production";

/** The example's repository is made in `dir`; a project of the options is taken as it is. */
export async function makePlan(options: DemoOptions, dir: string): Promise<DemoPlan> {
  return options.own === null
    ? examplePlan(join(dir, "repository"), options.searchPath)
    : ownPlan(options.own);
}

async function examplePlan(repositoryDir: string, searchPath: string): Promise<DemoPlan> {
  const commits = await makeExampleRepository("greeter", repositoryDir, searchPath);
  const timing = {
    intervalMs: 200,
    timeoutMs: 2 * secondMs,
    startupMs: 5 * secondMs,
    healthyAfterCount: 2,
    unhealthyAfterCount: 3,
  };
  return {
    project: {
      name: "greeter",
      remoteUrl: repositoryDir,
      buildCommand: "node build.mjs",
      artifactPath: "dist",
      limits: {
        memoryBytesMax: 2 * gibibyte,
        processesMax: 256,
        timeoutMs: 5 * minuteMs,
        diskBytesMax: 4 * gibibyte,
      },
    },
    service: {
      environment,
      name: "greeter",
      project: "greeter",
      run: {
        command: ["node", "server.mjs"],
        port: "auto",
        health: { type: "http", path: "/health", ...timing },
        stopTimeoutMs: 5 * secondMs,
      },
    },
    versions: commits.map(({ version, commit }) => ({ version, commit, fails: version === "v3" })),
  };
}

function ownPlan(own: NonNullable<DemoOptions["own"]>): DemoPlan {
  const name = projectName(own.repo);
  return {
    project: {
      name,
      remoteUrl: isUrl(own.repo) || isAbsolute(own.repo) ? own.repo : localPath(own.repo),
      buildCommand: own.build,
      artifactPath: own.artifact,
      prepare: parsePrepare(own.prepare, own.prepareHosts, own.lockFiles),
    },
    service: {
      environment,
      name,
      project: name,
      run: { ...parseRun(own.run), ...parseHealth(own.health, undefined, own.run) },
    },
    versions: [{ version: own.commit.slice(0, 10), commit: own.commit, fails: false }],
  };
}

function localPath(repo: string): string {
  const path = resolve(repo);
  if (existsSync(path)) return path;
  throw new ShoalError("config_invalid", `There is no repository at ${path}.`, {
    blame: "local",
    hint: "Give --repo a path or a URL",
  });
}

function isUrl(repo: string): boolean {
  return /^[a-z][a-z0-9+.-]*:\/\//.test(repo) || /^[^/]+@[^/]+:/.test(repo);
}

/** A DNS label out of the last part of a path or URL. */
function projectName(repo: string): string {
  const words = basename(repo.replace(/\/+$/, ""), ".git")
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, "-");
  return words.replaceAll(/^-+|-+$/g, "").slice(0, 63) || "project";
}

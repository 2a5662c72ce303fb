// Tells git hosts how builds stand: takes what is due from the outbox, posts it as GitHub's statuses API
// wants it, and tries again with growing pauses. What a host refuses for good is kept and shown.
import { commitStatusOf } from "@shoal/core/build/commit-status";
import {
  statusCallMsMax,
  statusRetryMs,
  statusRetryMsMax,
  statusTakenMs,
  statusTriesMax,
  statusesPerRound,
} from "@shoal/core/limits";
import { type DueStatus, delayStatus, endStatus, takeDueStatuses } from "../db/commit-statuses.ts";
import type { Database } from "../db/connection.ts";

/** Answers the host's status code; rejects when there is no answer. */
export type PostStatus = (url: string, token: string | null, body: object) => Promise<number>;

export interface TellDeps {
  readonly database: Database;
  readonly post: PostStatus;
}

/** Tells what is due; answers how many were told. */
export async function tellStatuses(deps: TellDeps): Promise<number> {
  const due = await takeDueStatuses(deps.database, statusTakenMs, statusesPerRound);
  const told = await Promise.all(due.map((status) => tell(deps, status)));
  return told.filter(Boolean).length;
}

async function tell({ database, post }: TellDeps, status: DueStatus): Promise<boolean> {
  const { url, token, commit, project, state, reason, build } = status;
  const body = { ...commitStatusOf(state, reason), context: `shoal/${project}`, build };
  let problem: string;
  let again = true;
  try {
    const code = await post(url.replaceAll("{commit}", commit), token, body);
    if (code >= 200 && code < 300) {
      await endStatus(database, status);
      return true;
    }
    problem = `the git host answered ${code}`;
    again = code >= 500 || code === 408 || code === 429;
  } catch (error) {
    problem = `the git host didn't answer: ${error instanceof Error ? error.message : "unknown"}`;
  }
  const wait = Math.min(statusRetryMsMax, statusRetryMs * 2 ** (status.tries - 1));
  const againMs = again && status.tries < statusTriesMax ? wait : null;
  await delayStatus(database, status, problem.slice(0, 500), againMs);
  return false;
}

/** Over the network, without following redirects: the token is for one host. */
export const postStatus: PostStatus = async (url, token, body) => {
  const answer = await fetch(url, {
    method: "POST",
    redirect: "error",
    signal: AbortSignal.timeout(statusCallMsMax),
    headers: {
      accept: "application/vnd.github+json",
      "content-type": "application/json",
      "user-agent": "shoal",
      ...(token === null ? {} : { authorization: `Bearer ${token}` }),
    },
    body: JSON.stringify(body),
  });
  await answer.body?.cancel();
  return answer.status;
};

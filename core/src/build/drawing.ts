// The drawing of a build's states for docs/BUILDS.md, made from the one table of transitions: what is
// drawn is what the code allows. A test holds the page to it.
import { buildStateCare, buildStates, buildTransitions, isFinalBuildState } from "./state.ts";

/** A Mermaid state diagram of every transition; events that lead to the same state share an arrow. */
export function drawBuildStates(): string {
  const lines = ["stateDiagram-v2", "    [*] --> QUEUED"];
  for (const from of buildStates) {
    const arrows = new Map<string, string[]>();
    for (const [event, to] of Object.entries(buildTransitions[from])) {
      arrows.set(to, [...(arrows.get(to) ?? []), event]);
    }
    for (const [to, events] of arrows) lines.push(`    ${from} --> ${to}: ${events.join(", ")}`);
    if (isFinalBuildState(from)) lines.push(`    ${from} --> [*]`);
  }
  return lines.join("\n");
}

/** A Markdown table of who cares for each state that isn't final. */
export function tableOfBuildStates(): string {
  const rows = buildStates.flatMap((state) => {
    const care = buildStateCare[state];
    return care === null
      ? []
      : [`| ${state} | ${care.owner} | ${care.deadline} | ${care.reaper} |`];
  });
  return [
    "| state | owner | deadline | at the deadline |",
    "| --- | --- | --- | --- |",
    ...rows,
  ].join("\n");
}

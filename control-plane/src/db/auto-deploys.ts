// What environments deploy by themselves: builds of a branch, and what was well elsewhere.
import type { Queries } from "./connection.ts";
import type { ServiceName } from "./services.ts";

export interface DueDeploy extends ServiceName {
  readonly build: number;
}

/** The newest successful build of each service's branch, where no rule has looked at it yet. */
export async function successfulBranchBuilds(
  queries: Queries,
): Promise<(DueDeploy & { readonly branch: string })[]> {
  return queries`
    select s.environment, s.name as service, e.deploys_branch as branch, b.id as build
    from services s
    join environments e on e.name = s.environment and e.deploys_branch is not null
    join lateral (
      select id from builds where project = s.project and branch = e.deploys_branch
        and state = 'SUCCEEDED' and id > s.auto_build order by id desc limit 1) b on true
    order by s.environment, s.name`;
}

/** Services of an environment that another one promotes from by itself, and what they run. */
export async function servicesToWatch(
  queries: Queries,
): Promise<(ServiceName & { readonly release: string })[]> {
  return queries`
    select s.environment, s.name as service, s.current_release as release from services s
    where s.current_release is not null and exists (
      select from environments e join services t on t.environment = e.name and t.name = s.name
      where e.promotes_from = s.environment and e.promotes_after_ms is not null)`;
}

/** Notes whether a service is well with a release; the time runs from when it first was. */
export async function noteWell(
  queries: Queries,
  name: ServiceName,
  release: string,
  isWell: boolean,
): Promise<void> {
  await queries`
    update services set well_release = ${release}, well_since = case
      when not ${isWell} then null
      when well_release = ${release} then coalesce(well_since, now())
      else now() end
    where environment = ${name.environment} and name = ${name.service}
      and (well_release is distinct from ${release} or (well_since is null) = ${isWell})`;
}

/** What was well for long enough where another environment promotes from, and isn't there yet. */
export async function promotionsDue(
  queries: Queries,
): Promise<(DueDeploy & { readonly from: string })[]> {
  return queries`
    select t.environment, t.name as service, e.promotes_from as "from", b.id as build
    from environments e
    join services t on t.environment = e.name
    join services s on s.environment = e.promotes_from and s.name = t.name
      and s.project = t.project and s.well_release = s.current_release
      and s.well_since <= now() - e.promotes_after_ms * interval '1 millisecond'
    join releases r on r.environment = s.environment and r.service = s.name
      and r.id = s.current_release
    join lateral (
      select id from builds where project = t.project and artifact = r.artifact
        and state = 'SUCCEEDED' and id > t.auto_build order by id desc limit 1) b on true
    where e.promotes_after_ms is not null and not exists (
      select from releases c where c.environment = t.environment and c.service = t.name
        and c.id = t.current_release and c.artifact = r.artifact)
    order by t.environment, t.name`;
}

/** A rule has deployed this build, or may not: only a newer one is looked at again. */
export async function noteAutoBuild(
  queries: Queries,
  name: ServiceName,
  build: number,
): Promise<void> {
  await queries`
    update services set auto_build = greatest(auto_build, ${build})
    where environment = ${name.environment} and name = ${name.service}`;
}

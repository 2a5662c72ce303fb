// Who a goal lets run its release: the one reading of a switch rule, for hosts and for those who count.
import type { HostId } from "../ids.ts";
import type { SwitchRule } from "./goal.ts";
import { hostShare } from "./host-share.ts";

/** Whether a host may run the goal's `run` now; else it runs `fallback`. */
export function mayRun(rule: SwitchRule, salt: string, host: HostId): boolean {
  switch (rule.type) {
    case "none":
      return false;
    case "all":
      return true;
    case "hosts":
      return rule.hosts.includes(host);
    case "share":
      return hostShare(salt, host) < rule.share || rule.hosts.includes(host);
  }
}

// The error for things that aren't there.
import { ShoalError } from "@shoal/core/error";

export function notFound(kind: string, name: string | number): ShoalError {
  return new ShoalError("not_found", `There is no ${kind} ${name}.`, { blame: "remote" });
}

/** The hooks that the SAEs of a plan read or reconstruct. */
import type { SaePlan } from "./types.ts";

/** Each of them once, in the order of the plan. */
export function activationHooks(saes: readonly Pick<SaePlan, "hook" | "hook_out">[]): string[] {
  const hooks = saes.flatMap(({ hook, hook_out }) => (hook_out ? [hook, hook_out] : hook));
  return [...new Set(hooks)];
}

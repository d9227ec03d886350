/** What a stage's `train.freeze` holds fast in the models of its arms, as masks on their parameters. */
import { childConfig, inheritedEntries } from "../../src/expansion/index.ts";
import { UsageError } from "../../src/io/index.ts";
import {
  type FrozenEntries,
  frozenByPattern,
  type ModelConfig,
  parameterShapes,
} from "../../src/models/index.ts";
import type { ResolvedPlan } from "../plan/types.ts";
import { realArm } from "./layout.ts";
import { drawnGrowth, plannedGrowth } from "./planned-growth.ts";

/**
 * The entries of the model of `arm` that stage `stage` (≥ 1) does not train; `parent` is the configuration of the
 * stage before. What names the inherited part holds for the grown model alone; patterns hold for the unexpanded
 * control too, and nothing for the from-scratch one. Errors: UsageError for a pattern without a parameter, and where
 * nothing would be left to train.
 */
export function frozenEntries(
  plan: ResolvedPlan,
  stage: number,
  arm: string,
  parent: ModelConfig,
): FrozenEntries {
  const { freeze } = plan.stages[stage - 1].train;
  if (freeze === "none" || arm === "scratch") return new Map();
  const byPattern = typeof freeze !== "string";
  if (arm !== realArm && !byPattern) return new Map();
  const child = childConfig(parent, plannedGrowth(plan, stage, parent).options);
  const names = [...parameterShapes(child).keys()];
  const where = `stages[${stage - 1}].train.freeze`;
  const frozen = byPattern
    ? frozenByPattern(names, freeze, where)
    : freeze === "inherited"
      ? inheritedEntries(drawnGrowth(plan, stage, parent).growth)
      : allBut(names, drawnGrowth(plan, stage, parent).growth.fresh);
  if (names.every((name) => frozen.get(name) === "all")) {
    throw new UsageError({
      code: "nothing-to-train",
      where,
      expected: "something that is left to train",
      got: `${byPattern ? "patterns that match" : `${freeze}, which is`} every parameter`,
      hint: byPattern ? undefined : "added layers and free coordinates have no parent",
    });
  }
  if (arm === realArm) return frozen;
  const own = parameterShapes(parent);
  return new Map([...frozen].filter(([name]) => own.has(name)));
}

function allBut(names: readonly string[], kept: readonly string[]): FrozenEntries {
  const free = new Set(kept);
  return new Map(names.filter((name) => !free.has(name)).map((name) => [name, "all"]));
}

/**
 * Question 5: do the bigger network's inductive biases overwhelm what was inherited? Two measures put
 * the child on a line from a from-scratch model of its size (0) to the unchanged parent (1): with the
 * carried SAE (CG − CS)/(CP − CS), and with fresh SAEs, which owe nothing to the carry,
 * (FG − FS)/(FP − FS). Both must lie on one side of ½ for an answer. Whether and where the child
 * crosses ½ while training needs checkpoints.
 */
import {
  type Answer,
  type BiasPoint,
  cannotTell,
  expansions,
  type FiveQuestionsInput,
  stageFile,
  withInterval,
} from "./evidence.ts";

/** value: inertia-corrected persistence at the last stage that has it; 1 = as the parent, 0 = as from scratch. */
export function answerBiases(input: FiveQuestionsInput): Answer {
  const stages = expansions(input);
  if (stages.length === 0) return cannotTell("it has no expansion");
  const last = stages.findLast((stage) => stage.persistence?.cells?.CS != null);
  if (last === undefined) {
    return cannotTell("no stage trained a from-scratch model to compare features with");
  }
  const { corrected, inheritance, cells } = last.persistence!;
  const file = stageFile(last.stage, "persistence.json");
  const evidence = ["corrected", "inheritance.of_findable", "cells"].map((field) => ({
    file,
    field,
  }));
  const value = corrected?.value ?? null;
  if (value === null) {
    return cannotTell(
      "the unchanged parent and the from-scratch model match the parent's features about equally well, so no scale lies between them",
      evidence,
    );
  }
  const ci = corrected?.ci ?? null;
  const fresh = inheritance?.of_findable ?? null;
  const decided = ci !== null && (ci[0] > 0.5 || ci[1] < 0.5);
  const agree = fresh !== null && fresh > 0.5 === value > 0.5;
  const verdict = !decided
    ? "Not decided by this run"
    : value > 0.5
      ? "Not yet: the grown model is closer to its parent than to a model of its size trained from scratch"
      : "Largely: the grown model is closer to a model of its size trained from scratch than to its parent";
  const share = (cell: string): string => cells?.[cell]?.function?.toFixed(2) ?? "not measured";
  const witness =
    fresh === null
      ? "fresh SAEs, the witness that owes nothing to the carry, give no figure"
      : `fresh SAEs ${agree ? "agree" : "disagree"} at ${fresh.toFixed(2)}`;
  return {
    answer: `${verdict}: on a scale from 0 (from scratch) to 1 (unchanged parent) it stands at ${withInterval(value, ci)} at the end of ${last.stage} (carried features matched ${share("CG")}, on the from-scratch model ${share("CS")}, on the unchanged parent ${share("CP")}); ${witness}; ${crossing(input.bias_curve ?? [])}.`,
    value,
    ci,
    unit: "0 = from scratch, 1 = parent",
    evidence,
    confident: decided && agree,
  };
}

/** What the checkpoints say about the way there. */
function crossing(curve: readonly BiasPoint[]): string {
  if (curve.length < 2) {
    return "it was measured at the end only, so where the curves cross is not known";
  }
  const below = curve.findIndex((point) => point.corrected < 0.5);
  if (below < 0) return `over ${curve.length} checkpoints it never fell below ½`;
  if (below === 0) return "it was below ½ at the first checkpoint already";
  return `it fell below ½ between ${curve[below - 1].tokens} and ${curve[below].tokens} tokens`;
}

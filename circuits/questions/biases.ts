/**
 * Question 5: do the bigger network's inductive biases overwhelm what was inherited? Three measures put the child on a
 * line from a from-scratch model of its size (0) to the unchanged parent (1): with the carried SAE (CG − CS)/(CP − CS),
 * with fresh SAEs, which owe nothing to the carry, (FG − FS)/(FP − FS), and, over training, by what the parent's own SAE
 * reads from each checkpoint through a fitted linear map (likeness.json). All must lie on one side of ½ for an answer.
 */
import {
  type Answer,
  type CrossingEvidence,
  cannotTell,
  expansions,
  type FiveQuestionsInput,
  type LikenessEvidence,
  percent,
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
  const likeness = last.likeness ?? null;
  const file = stageFile(last.stage, "persistence.json");
  const evidence = [
    ...["corrected", "inheritance.of_findable", "cells"].map((field) => ({ file, field })),
    ...(likeness === null
      ? []
      : [{ file: stageFile(last.stage, "likeness.json"), field: "saes[0]" }]),
  ];
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
  const read = likeness?.child.at(-1)?.corrected.value ?? null;
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
    answer: `${verdict}: on a scale from 0 (from scratch) to 1 (unchanged parent) it stands at ${withInterval(value, ci)} at the end of ${last.stage} (carried features matched ${share("CG")}, on the from-scratch model ${share("CS")}, on the unchanged parent ${share("CP")}); ${witness}; ${overTraining(likeness)}.`,
    value,
    ci,
    unit: "0 = from scratch, 1 = parent",
    evidence,
    confident: decided && agree && (read === null || read > 0.5 === value > 0.5),
  };
}

/** What the checkpoints say about the way there. */
function overTraining(likeness: LikenessEvidence | null): string {
  const points = likeness?.child ?? [];
  const end = points.at(-1);
  if (likeness === null || end?.corrected.value == null) {
    return "its likeness to either over training was not measured, so where the curves cross is not known";
  }
  const { half, scratch_nearer } = likeness.crossings;
  const kept = `read through a linear map by the parent's own SAE, it shows ${percent(end.corrected.value)} of what sets the parent apart from a from-scratch model after as many tokens, and ${half === null ? `never less than half at ${points.length} points of its training` : `less than half ${where(half)}`}`;
  if (end.to_scratch?.value == null) return kept;
  const { parent, no_expand } = likeness.references;
  const others = [
    `${two(parent.to_scratch?.value)} in the parent`,
    ...(no_expand === null
      ? []
      : [`${two(no_expand.to_scratch?.value)} in the parent trained on without growth`]),
  ];
  return `${kept}; its likeness to its parent is ${two(end.to_parent.value)} at the end, to the from-scratch model ${two(end.to_scratch.value)} (${others.join(", ")}), and the two curves ${scratch_nearer === null ? "don't cross" : `cross, the from-scratch model being nearer ${where(scratch_nearer)}`}`;
}

function where({ after, by }: CrossingEvidence): string {
  return after === null
    ? `from the first point on (${by} tokens)`
    : `from between ${after} and ${by} tokens of training on`;
}

function two(value: number | null | undefined): string {
  return value?.toFixed(2) ?? "not measured";
}

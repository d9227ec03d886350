/**
 * Question 3: how much of the small network is overwritten? At least the features that died (no
 * counterpart, and no probe reads them), at most all that are not called persisted: carried-only,
 * drifted and uncertain ones lie between. The stage that lost most is the answer, so that a gentle
 * last step can't hide a rough first one. Latents are counted as if independent (Wilson's interval).
 */
import { wilson } from "../../sae/index.ts";
import {
  type Answer,
  cannotTell,
  type EvalEvidence,
  expansions,
  type FiveQuestionsInput,
  type PersistenceEvidence,
  type ProbesEvidence,
  percent,
  type StageEvidence,
  stageFile,
} from "./evidence.ts";

/** Eligible parent latents below which shares mean little. */
export const fewestLatents = 50;
/** Share persisted in the re-initialised child above which the rule itself is at fault. */
export const mostReinit = 0.05;
/** Share of latents between died and persisted above which the answer is not confident. */
const mostUndecided = 0.5;

/** value: the share of eligible parent features that died in the stage that lost most. */
export function answerOverwritten(input: FiveQuestionsInput): Answer {
  const measured = expansions(input).filter(
    (stage): stage is StageEvidence & { persistence: PersistenceEvidence } =>
      stage.persistence !== null,
  );
  if (expansions(input).length === 0) return cannotTell("it has no expansion");
  if (measured.length === 0) return cannotTell("no stage measured the persistence of features");
  const worst = measured.reduce((a, b) => (died(b.persistence) > died(a.persistence) ? b : a));
  const { stage, persistence } = worst;
  const file = stageFile(stage, "persistence.json");
  const offImage = worst.eval.off_image?.after_training ?? null;
  const evidence = [
    { file, field: "counts.died" },
    { file, field: "eligible" },
    { file, field: "persisted" },
    { file, field: "reinit_persisted" },
    ...(persistence.probes == null ? [] : [{ file, field: "probes" }]),
    ...(offImage === null
      ? []
      : [{ file: stageFile(stage, "eval.json"), field: "off_image.after_training" }]),
    ...(worst.eval.weight_drift == null
      ? []
      : [{ file: stageFile(stage, "eval.json"), field: "weight_drift" }]),
  ];
  const { eligible } = persistence;
  if (eligible < fewestLatents) {
    return cannotTell(
      `at ${stage} only ${eligible} parent features fire often enough to judge (${fewestLatents} are needed)`,
      evidence,
    );
  }
  const reinit = persistence.reinit_persisted?.value ?? null;
  if (reinit !== null && reinit > mostReinit) {
    return cannotTell(
      `at ${stage} the rule also calls ${percent(reinit)} of the features persisted in a child with random weights (at most ${percent(mostReinit)} is allowed)`,
      evidence,
    );
  }
  const kept = persistence.persisted.value;
  const lost = died(persistence);
  const lostBySae = (persistence.counts.lost_by_sae ?? 0) / eligible;
  const ceiling = persistence.cells?.CP?.function ?? null;
  const parts = [
    kept === null
      ? "the persisted share was not measured"
      : `${percent(kept)} persist and the rest is undecided, drifted or changed, so at most ${percent(1 - kept)} is overwritten`,
    ...(lostBySae > 0
      ? [`${percent(lostBySae)} are lost to the SAE but still readable from the model`]
      : []),
    ...(ceiling === null
      ? []
      : [`on the unchanged parent the same matching finds ${percent(ceiling)} again`]),
    ...probeParts(persistence.probes ?? null),
    // null after growth in depth alone: there the inherited subspace is the whole stream
    ...(offImage === null
      ? []
      : [
          `${percent(offImage)} of the grown model's activation energy lies outside the inherited subspace`,
        ]),
    ...driftParts(worst.eval.weight_drift ?? null),
    ...(reinit === null ? ["the check on a child with random weights was not made"] : []),
  ];
  return {
    answer: `At least ${percent(lost)} of the ${eligible} parent features that can be judged died at ${stage}${measured.length > 1 ? ", the stage that lost most" : ""}; ${parts.join("; ")}.`,
    value: lost,
    ci: wilson(persistence.counts.died ?? 0, eligible),
    unit: "share of eligible parent features",
    evidence,
    confident: reinit !== null && kept !== null && 1 - kept - lost <= mostUndecided,
  };
}

function died({ counts, eligible }: PersistenceEvidence): number {
  return eligible === 0 ? 0 : (counts.died ?? 0) / eligible;
}

/** What linear probes still read, and from which part; what a from-scratch model gives as well is no inheritance. */
function probeParts(probes: ProbesEvidence | null): string[] {
  if (probes === null) return [];
  const { child, inherited, scratch, random } = probes;
  const others = [
    ...(inherited === null ? [] : [`${percent(inherited.read)} from its inherited subspace alone`]),
    ...(scratch === null ? [] : [`${percent(scratch.read)} from a from-scratch model`]),
    ...(random === null ? [] : [`${percent(random.read)} from random weights`]),
  ];
  return [
    `of the features that linear probes read from the parent, they read ${[`${percent(child.read)} from the grown model`, ...others].join(", ")}`,
  ];
}

/** What the weights say: how far they moved, and whether that was inside the inherited subspace. */
function driftParts(drift: NonNullable<EvalEvidence["weight_drift"]> | null): string[] {
  if (drift?.read.relative == null || drift.write.relative === null) return [];
  const moved = `the matrices that read the stream moved by ${percent(drift.read.relative)} of their norm, those that write into it by ${percent(drift.write.relative)}`;
  const { read, write, dimension_share: chance } = drift;
  if (chance === null || read.inside_share === null || write.inside_share === null) return [moved];
  return [
    `${moved}, of which ${percent(read.inside_share)} and ${percent(write.inside_share)} lie inside the inherited subspace (${percent(chance)} of the dimensions)`,
  ];
}

/** The headline numbers of a stage, each with its interval or with what it stands against. */

import type { Estimate } from "../run-data/estimate.ts";
import type { SaeEvaluation, StageEvaluation } from "../run-data/evaluation.ts";
import type { RunData } from "../run-data.ts";
import { compact, decimal, interval, missing, percent, signed, small } from "./format.ts";

/** One tile. */
export interface Tile {
  readonly label: string;
  readonly value: string;
  /** What the number is, in a few words: a formula or a comparison. */
  readonly note: string;
  /** The 95% interval in words, where there is one. */
  readonly interval: string | null;
  /** The measure's entry in the glossary. */
  readonly term: string;
}

/** The tiles of stage `index`. */
export function stageTiles(run: RunData, index: number): Tile[] {
  const { persistence, evaluation } = run.stages[index];
  const tiles: Tile[] = [];
  if (persistence) {
    const { corrected, persisted, reinit_persisted, inheritance, carry_bonus, cells } = persistence;
    const missingControl =
      cells.CS === null || cells.FS === null
        ? "needs the from-scratch controls, which run at the last stage"
        : "not reported: its denominator is below 3 standard errors";
    tiles.push(
      estimateTile(
        "Corrected persistence",
        corrected,
        "(CG − CS) / (CP − CS)",
        missingControl,
        "corrected persistence",
        decimal,
      ),
      estimateTile(
        "Persisted with a witness",
        persisted,
        reinit_persisted?.value == null
          ? "of the features that can be judged"
          : `${percent(reinit_persisted.value)} on random weights`,
        "no feature can be judged",
        "witness",
        percent,
      ),
      estimateTile(
        "Inherited, found without any carry",
        inheritance,
        inheritance?.of_findable == null
          ? "FG − FS"
          : `FG − FS; ${decimal(inheritance.of_findable)} of what fresh SAEs can find`,
        missingControl,
        "inheritance",
        decimal,
      ),
      estimateTile(
        "Carry bonus",
        carry_bonus,
        "what a fresh SAE would have missed",
        missingControl,
        "carry bonus",
        signed,
      ),
      savedTile(persistence.tokens_ratio),
    );
  }
  if (evaluation) tiles.push(lossTile(run, index, evaluation), ...fvuTiles(run, evaluation, index));
  return tiles;
}

function estimateTile(
  label: string,
  estimate: Estimate | null,
  note: string,
  whyMissing: string,
  term: string,
  format: (value: number | null) => string,
): Tile {
  const value = estimate?.value ?? null;
  return {
    label,
    value: format(value),
    note: value === null ? whyMissing : note,
    interval:
      value === null || !estimate?.ci
        ? null
        : format === percent
          ? `${percent(estimate.ci[0])} to ${percent(estimate.ci[1])}`
          : interval(estimate.ci),
    term,
  };
}

function savedTile(ratio: number | null): Tile {
  const label = "SAE tokens saved";
  const term = "tokens ratio";
  if (ratio === null) {
    return {
      label,
      value: missing,
      note: "the carried SAE did not reach a fresh one’s FVU",
      interval: null,
      term,
    };
  }
  return {
    label,
    value: percent(1 - ratio),
    note: `reaches a fresh SAE’s FVU in ${decimal(ratio)} of its tokens`,
    interval: null,
    term,
  };
}

function lossTile(run: RunData, index: number, { model, controls }: StageEvaluation): Tile {
  const scratch = controls.scratch?.held_out_loss ?? null;
  const unexpanded = controls["no-expand"]?.held_out_loss ?? null;
  const before = run.stages[index - 1]?.evaluation?.model.held_out_loss ?? null;
  const note =
    unexpanded !== null || scratch !== null
      ? [
          ...(unexpanded === null ? [] : [`unexpanded ${decimal(unexpanded)}`]),
          ...(scratch === null ? [] : [`from scratch ${decimal(scratch)}`]),
        ].join(", ")
      : before !== null
        ? `${decimal(before)} before the expansion`
        : `unigram entropy ${decimal(model.unigram_entropy)}`;
  const { held_out_loss: loss, held_out_se: se } = model;
  return {
    label: "Held-out loss, nats per token",
    value: decimal(loss),
    note,
    interval: loss === null || se === null ? null : interval([loss - 1.96 * se, loss + 1.96 * se]),
    term: "held-out loss",
  };
}

function fvuTiles(
  run: RunData,
  { saes: all, pca_fvu, model }: StageEvaluation,
  index: number,
): Tile[] {
  const name = run.plan.saes[0]?.name;
  const saes = all.filter(({ sae }) => name === undefined || sae === name);
  const of = (arm: string): SaeEvaluation | undefined =>
    saes.find((sae) => sae.arm === arm) ?? saes.find((sae) => sae.arm.startsWith(`${arm}-`));
  const carried = of("carried");
  if (!carried) return [];
  const frozen = of("frozen");
  const fresh = of("fresh");
  const tiles: Tile[] = [
    {
      label: frozen ? "FVU: frozen → carried" : "FVU of the SAE",
      value: frozen
        ? `${decimal(frozen.fvu, 3)} → ${decimal(carried.fvu, 3)}`
        : decimal(carried.fvu, 3),
      note: [
        ...(fresh ? [`fresh ${decimal(fresh.fvu, 3)}`] : []),
        `PCA at rank ${decimal(carried.l0, 0)}: ${decimal(pca_fvu, 3)}`,
      ].join(", "),
      interval: null,
      term: "fvu",
    },
  ];
  if (index === 0) {
    tiles.push(
      {
        label: "CE score",
        value: decimal(carried.ce_loss_score_zero, 3),
        note: "loss recovered with the SAE in place, 1 = all",
        interval: null,
        term: "ce score",
      },
      {
        label: "Dead latents",
        value: percent(carried.dead_fraction),
        note: "never fire in the held-out text",
        interval: null,
        term: "dead",
      },
      {
        label: "Model",
        value: compact(model.params ?? null),
        note: `parameters, trained on ${compact(model.tokens_trained)} tokens`,
        interval: null,
        term: "stage",
      },
    );
  }
  return tiles;
}

/** "max |Δlogit| 6.0·10⁻⁶", for the mark of an expansion. */
export function exactnessLabel(maxDifference: number | null): string {
  return maxDifference === null ? "" : `max |Δlogit| ${small(maxDifference)}`;
}

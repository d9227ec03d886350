/** Head scores of every stage, by kind, with the best head of each and what became of it. */

import type { HeadKind } from "../run-data/circuit.ts";
import type { RunData } from "../run-data.ts";
import { decimal } from "./format.ts";
import { stageLabel } from "./stages.ts";

/** The heads of one stage for one kind of score. */
export interface HeadGrid {
  readonly stage: string;
  readonly scores: readonly (readonly number[])[]; // [layer][head]
  readonly nulls: readonly (readonly number[])[];
}

/** A row of grids, one per stage. */
export interface HeadGridRow {
  readonly kind: HeadKind;
  readonly label: string;
  readonly grids: readonly HeadGrid[];
  /** "base: head 1.2 at 0.31 (null 0.04)"… */
  readonly best: string;
}

const kinds: readonly (readonly [HeadKind, string])[] = [
  ["induction", "Induction"],
  ["previous_token", "Previous token"],
  ["duplicate_token", "Duplicate token"],
];

/** All grids; null where no stage has scores. */
export function headGridRows(run: RunData): HeadGridRow[] | null {
  const stages = run.stages.flatMap(({ name, circuit }) =>
    circuit?.head_scores ? [{ stage: stageLabel(name), scores: circuit.head_scores }] : [],
  );
  if (stages.length === 0) return null;
  return kinds.map(([kind, label]) => ({
    kind,
    label,
    grids: stages.map(({ stage, scores }) => ({
      stage,
      scores: scores[kind],
      nulls: scores.null[kind],
    })),
    best: stages
      .map(({ stage, scores }) => `${stage}: ${bestHead(scores[kind], scores.null[kind])}`)
      .join("; "),
  }));
}

function bestHead(
  scores: readonly (readonly number[])[],
  nulls: readonly (readonly number[])[],
): string {
  let best = { layer: 0, head: 0, gain: Number.NEGATIVE_INFINITY };
  scores.forEach((heads, layer) => {
    heads.forEach((score, head) => {
      const gain = score - (nulls[layer]?.[head] ?? 0);
      if (gain > best.gain) best = { layer, head, gain };
    });
  });
  if (!Number.isFinite(best.gain)) return "no heads";
  const { layer, head } = best;
  return `head ${layer}.${head} at ${decimal(scores[layer][head])} (null ${decimal(nulls[layer]?.[head])})`;
}

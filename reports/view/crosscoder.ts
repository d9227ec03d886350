/** A stage's crosscoder as printed: how its latents fall, and what it says of the parent's latents by verdict. */

import type { CrosscoderFigures } from "../run-data/crosscoder.ts";
import type { StageData } from "../run-data.ts";
import { count, decimal, percent, plural } from "./format.ts";
import { severity, wordsOf } from "./verdicts.ts";

/** Parent latents with one verdict. */
export interface CrosscoderRow {
  readonly verdict: string;
  readonly shared: string;
  /** Of the shared. */
  readonly aligned: string;
  readonly parentOnly: string;
  readonly childOnly: string;
  /** Not found in the crosscoder, or its counterpart fires too rarely. */
  readonly silent: string;
}

/** The part of one stage. */
export interface CrosscoderView {
  readonly sentences: readonly string[];
  readonly rows: readonly CrosscoderRow[];
}

/** What a stage's crosscoder says; null without one. */
export function crosscoderView({ persistence }: StageData): CrosscoderView | null {
  const crosscoder = persistence?.crosscoder ?? null;
  if (crosscoder === null) return null;
  const { persisted_shared, died_parent_only, kappa, reinit, unmasked } = crosscoder;
  const { shrinkage, decoupling } = unmasked;
  const found =
    persisted_shared === null
      ? "It has none of the persisted latents."
      : `Of the persisted latents that it has it calls ${percent(persisted_shared)} shared${
          died_parent_only === null
            ? "; it has none of the died"
            : `, of the died ${percent(died_parent_only)} the parent’s alone`
        }.${kappa === null ? "" : ` Cohen’s κ of the two: ${decimal(kappa)}.`}`;
  return {
    sentences: [
      found,
      `Of its own latents ${classes(crosscoder)}; by decoder norms alone ${percent(sharedOf(crosscoder.by_norm))} would be shared. Latent scaling unmasked ${plural(shrinkage + decoupling, "latent")}: ${count(shrinkage)} shrunk, ${count(decoupling)} decoupled. FVU ${decimal(crosscoder.fvu_parent, 3)} on the parent, ${decimal(crosscoder.fvu_child, 3)} on the child, L0 ${decimal(crosscoder.l0, 1)}.`,
      ...(reinit === null
        ? []
        : [`Against random weights of the child’s size: ${classes(reinit)}.`]),
    ],
    rows: crosscoder.verdicts
      .toSorted((a, b) => severity(a.verdict) - severity(b.verdict))
      .map((row) => {
        const { label } = wordsOf(row.verdict);
        return {
          verdict: label,
          shared: count(row.shared),
          aligned: count(row.aligned),
          parentOnly: count(row.parent_only),
          childOnly: count(row.child_only),
          silent: count(row.none + row.unknown),
        };
      }),
  };
}

function classes({ latents, aligned }: Pick<CrosscoderFigures, "latents" | "aligned">): string {
  const judged = latents.shared + latents.parent_only + latents.child_only;
  if (judged === 0) return "none fires often enough to be judged";
  return `${percent(sharedOf(latents))} are shared (${percent(aligned / judged)} in the direction that the growth predicts), ${percent(latents.parent_only / judged)} the parent’s alone, ${percent(latents.child_only / judged)} the child’s (${count(judged)} judged)`;
}

function sharedOf({
  shared,
  parent_only,
  child_only,
}: CrosscoderFigures["latents"]): number | null {
  const judged = shared + parent_only + child_only;
  return judged === 0 ? null : shared / judged;
}

/**
 * Two tests of inertia as rows of a chart: latents that were turned away before training (do they come back?), and the
 * carried SAE after shorter and longer training (does what it shares with the parent wear off?).
 */
import type { Estimate } from "../run-data/estimate.ts";
import type { PersistenceSummary } from "../run-data/persistence.ts";
import { decimal } from "./format.ts";
import type { IntervalRow } from "./interval-rows.ts";

const plain = { code: "", secondary: null, from: null, to: null } as const;

/** Where turned latents ended; null where none was turned. */
export function turnedRows(persistence: PersistenceSummary | null): IntervalRow[] | null {
  const turned = persistence?.perturb_and_return ?? null;
  if (turned === null) return null;
  const row = (
    label: string,
    short: string,
    { value, ci }: Estimate,
    colour: string,
    isMain: boolean,
  ): IntervalRow[] =>
    value === null ? [] : [{ ...plain, label, short, value, ci, colour, isMain }];
  const { way_back, returned, stayed, to_parent, put_to_parent, unturned_to_parent, reinit } =
    turned;
  const mean = (value: number | null): Estimate => ({ value, ci: null });
  return [
    ...row("Way back to never turned", "Way back to never turned", way_back, "persisted", true),
    ...(reinit === null
      ? []
      : row("… on random weights", "… on random weights", reinit.way_back, "died", false)),
    ...row(
      "Cosine to the parent: as put",
      "Cosine to the parent: as put",
      mean(put_to_parent),
      "unknown",
      false,
    ),
    ...row("… after training", "… after training", mean(to_parent), "persisted", true),
    ...row("… never turned", "… never turned", mean(unturned_to_parent), "unknown", false),
    ...row(
      "… on random weights",
      "… on random weights",
      mean(reinit?.to_parent ?? null),
      "died",
      false,
    ),
    ...row("Share back (cosine ≥ .9)", "Share back (cosine ≥ .9)", returned, "persisted", true),
    ...row("Share still where it was put", "Share still where it was put", stayed, "drifted", true),
    ...(reinit === null
      ? []
      : row("… on random weights", "… on random weights", reinit.stayed, "died", false)),
  ];
}

/** Function matches by how long the SAE trained on; null without a longer continuation. */
export function continuationRows(persistence: PersistenceSummary | null): IntervalRow[] | null {
  const points = persistence?.continuation ?? null;
  if (points === null) return null;
  return points.flatMap(({ times, function: value, ci, to_start }): IntervalRow[] => {
    if (value === null) return [];
    const kept = to_start === null ? "" : `, ${decimal(to_start)} near their start`;
    const label = times === 0 ? "not trained on" : `${times}× the tokens`;
    return [
      {
        ...plain,
        label: `${label}${kept}`,
        short: label,
        value,
        ci,
        colour: "carried",
        isMain: times === 1,
      },
    ];
  });
}

/** How exact each expansion was, how exact the carry, and whether the child has left the parent's image. */
import type { RunData } from "../run-data.ts";
import { decimal, percent, small } from "./format.ts";
import { growthLabel, sizeLabel, sizeOf, stageLabel } from "./stages.ts";

/** One expansion, as printed. */
export interface ExactnessRow {
  readonly stage: string;
  readonly growth: string;
  readonly method: string;
  readonly maxDifference: string;
  readonly kl: string;
  /** The lowest R² of the maps fitted where the method is not exact. */
  readonly fitR2: string;
  readonly worstBoundary: string;
  /** Whether both figures are within the limits; null where not measured. */
  readonly isExact: boolean | null;
  readonly sameLatents: string;
  readonly fvuParent: string;
  readonly fvuCarried: string;
  readonly offImage: string;
  readonly copySpread: string;
}

/** Limits of an exact method in f32: on max |Δlogit|, and on the relative error of a boundary. */
export const exactLimits: { readonly logits: number; readonly boundary: number } = {
  logits: 1e-4,
  boundary: 1e-5,
};

/** A row for every expansion that was done. */
export function exactnessRows(run: RunData): ExactnessRow[] {
  return run.stages.flatMap((stage, index) => {
    const { map, evaluation, check } = stage;
    const exactness = map?.exactness ?? evaluation?.exactness ?? null;
    if (index === 0 || (map === null && exactness === null)) return [];
    const worst = Math.max(0, ...(exactness?.boundaries ?? []).map(({ rel_err }) => rel_err ?? 0));
    const { max_abs_dlogit: difference = null, kl = null } = exactness ?? {};
    const r2 = map?.hooks.flatMap((hook) => hook.r2 ?? []) ?? [];
    const after = (measure: "off_image" | "copy_spread"): string => {
      const values = evaluation?.[measure] ?? null;
      return values === null
        ? "–"
        : `${percent(values.after_expansion)} → ${percent(values.after_training)}`;
    };
    return [
      {
        stage: stageLabel(stage.name),
        growth: growthLabel(sizeOf(run, index - 1), sizeOf(run, index)),
        method: map?.method ?? "",
        maxDifference: small(difference),
        kl: small(kl === null ? null : Math.max(0, kl)),
        fitR2: decimal(r2.length === 0 ? null : Math.min(...r2), 3),
        worstBoundary: exactness === null || exactness.boundaries.length === 0 ? "–" : small(worst),
        isExact:
          difference === null || exactness === null
            ? null
            : difference <= exactLimits.logits && worst <= exactLimits.boundary,
        sameLatents: check?.same_latents == null ? "–" : nearOne(check.same_latents),
        fvuParent: decimal(check?.fvu_parent, 4),
        fvuCarried: decimal(check?.fvu_parent_frame, 4),
        offImage: after("off_image"),
        copySpread: after("copy_spread"),
      },
    ];
  });
}

/** "2 × 64 → 2 × 96 → 4 × 96" of the stages whose size is known. */
export function sizesPath(run: RunData): string {
  return run.stages
    .flatMap((_, index) => {
      const size = sizeOf(run, index);
      return size ? [sizeLabel(size)] : [];
    })
    .join(" → ");
}

function nearOne(share: number): string {
  return share >= 0.9995 && share < 1 ? `1 − ${small(1 - share)}` : decimal(share, 4);
}

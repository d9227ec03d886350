// The 2×2 with ceilings (methods.md §5). Cells are shares of the parent latents that fire often
// enough with a function match: first letter Carried or Fresh SAE, second Grown child, from-Scratch
// model or unchanged Parent.
//   corrected     (CG − CS) / (CP − CS)   inertia-corrected persistence, the headline
//   inheritance   FG − FS                 found in the grown child without any carry
//   of_findable   (FG − FS) / (FP − FS)   of what fresh seeds can find at all
//   carry_bonus   (CG − CS) − (FG − FS)   what the carry shows and a fresh SAE would miss
// Nothing is clipped. A ratio whose denominator is below 3 standard errors is not reported, and
// neither is anything that needs a cell this stage did not train.
import { combine, interval, type Sample, standardError } from "./bootstrap.ts";

/** A cell: the arm's share with a function match and, beside it, with a match at τ. */
export interface CellSample {
  readonly function: Sample;
  readonly match: Sample;
}

/** The names of the six cells. */
export const cellNames = ["CG", "FG", "CS", "FS", "CP", "FP"] as const;
/** One of {@link cellNames}. */
export type CellName = (typeof cellNames)[number];

/** A number with its 95% interval; null where it was not measured. */
export interface Estimate {
  readonly value: number | null;
  readonly ci: readonly [number, number] | null;
}

/** What the cells add up to. */
export interface Estimands {
  readonly corrected: Estimate;
  readonly inheritance: Estimate & { readonly of_findable: number | null };
  readonly carry_bonus: Estimate;
  /** The ratios left out because of their denominators, in words. */
  readonly warnings: readonly string[];
}

/** A denominator nearer to 0 than so many of its standard errors gives no ratio. */
export const leastStandardErrors = 3;

/** Computes what the measured cells allow. `hasInterval` false (a single sequence) withholds every interval and ratio. */
export function estimands(
  cells: Readonly<Record<CellName, CellSample | null>>,
  hasInterval: boolean,
): Estimands {
  const warnings: string[] = [];
  const [CG, FG, CS, FS, CP, FP] = cellNames.map((name) => cells[name]?.function ?? null);

  const difference = (a: Sample | null, b: Sample | null): Sample | null =>
    a && b && combine([a, b], (x, y) => x - y);
  const ratio = (top: Sample | null, bottom: Sample | null, what: string): Sample | null => {
    if (top === null || bottom === null) return null;
    if (hasInterval && isSolid(bottom)) return combine([top, bottom], (x, y) => x / y);
    warnings.push(`${what} is not reported: its denominator is below 3 standard errors`);
    return null;
  };

  const carriedGain = difference(CG, CS);
  const freshGain = difference(FG, FS);
  const corrected = ratio(
    carriedGain,
    difference(CP, CS),
    "inertia-corrected persistence (CG − CS) / (CP − CS)",
  );
  const findable = ratio(
    freshGain,
    difference(FP, FS),
    "inheritance of what is findable (FG − FS) / (FP − FS)",
  );
  return {
    corrected: estimate(corrected, hasInterval),
    inheritance: { ...estimate(freshGain, hasInterval), of_findable: findable?.value ?? null },
    carry_bonus: estimate(difference(carriedGain, freshGain), hasInterval),
    warnings,
  };
}

/** A sample as it is reported. */
export function estimate(sample: Sample | null, hasInterval: boolean): Estimate {
  if (sample === null || !Number.isFinite(sample.value)) return { value: null, ci: null };
  return { value: sample.value, ci: hasInterval ? interval(sample) : null };
}

/** A denominator is solid when it is positive and at least 3 standard errors from 0. */
export function isSolid(denominator: Sample): boolean {
  return (
    denominator.value > 0 && denominator.value >= leastStandardErrors * standardError(denominator)
  );
}

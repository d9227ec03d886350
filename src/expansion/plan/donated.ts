/**
 * @file Parameters with two parents (bert2BERT's AKI fills what is added to a layer from the next one): the whole
 * parameter is grown from each, and entries whose row or column is donated are taken from the second.
 */
import type { ParameterPlan } from "./growth-plan.ts";

type Numbers = Float32Array | Float64Array;

/** The plan by which the donor's part is grown, or null for a parameter with one parent. */
export function donorPlan(plan: ParameterPlan): ParameterPlan | null {
  return plan.donor == null ? null : { ...plan, from: plan.donor, donor: null };
}

/**
 * Overwrites the donated entries of `out` with those of `donor`; both hold whole rows of the parameter, the first of
 * which is row `first`. A vector is one row.
 */
export function takeDonated<T extends Numbers>(
  { axes }: ParameterPlan,
  out: T,
  donor: T,
  first = 0,
): void {
  const columns = axes[axes.length - 1];
  const rows = axes.length === 2 ? axes[0] : null;
  const width = columns.source.length;
  for (let at = 0; at < out.length; at += width) {
    const wholeRow = rows?.donated?.[first + at / width] === 1;
    for (let j = 0; j < width; j++) {
      if (wholeRow || columns.donated?.[j] === 1) out[at + j] = donor[at + j];
    }
  }
}

/** An axis whose entries from index n on are donated. */
export function donatedFrom<T extends { readonly source: Int32Array }>(
  axis: T,
  n: number,
): T & { readonly donated: Uint8Array } {
  return { ...axis, donated: Uint8Array.from(axis.source, (_, i) => (i < n ? 0 : 1)) };
}

/**
 * @file Adam's moments of a parent as those of its child, along a growth plan's axis maps. Growth that keeps the
 * function has a child whose gradient is the parent's, entry by entry, times a factor: 1/scale of the parameter, times
 * each axis's share (`gradientShares`). First moments are gradients, second ones their squares, so they take the
 * factor and its square. Whole parameters that copy one of the parent's (experts) share its gradient by their gates, in the
 * mean evenly. What has no parent (fresh entries, means, inserted blocks, entries
 * taken from another layer) begins with zeros.
 */
import type { AdamwState } from "../../engine/index.ts";
import { sizeOf } from "../../io/index.ts";
import { type ModelConfig, parameterShapes } from "../../models/index.ts";
import type { FamilyGrowth } from "../family-growth.ts";
import { gradientShares, identityAxis } from "./axis-map.ts";
import type { ParameterPlan } from "./growth-plan.ts";

/** `carry`: every copy gets its part; `asymmetric`: the first copy does, the others begin with zeros (SPARKLING). */
export type MomentPolicy = "carry" | "asymmetric";

/**
 * The child's moments, for its every parameter. `parent` is the parent's configuration; a parameter that the state
 * lacks (it was frozen) counts as zeros. The number of steps goes on, since the kept moments are sums over that many.
 */
export function growMoments(
  { plan, fresh }: Pick<FamilyGrowth, "plan" | "fresh">,
  parent: ModelConfig,
  { step, m, v }: AdamwState,
  policy: MomentPolicy,
): AdamwState {
  const shapes = parameterShapes(parent);
  const without = new Set(fresh);
  const grown = { m: new Map<string, Float32Array>(), v: new Map<string, Float32Array>() };
  for (const parameter of plan.parameters) {
    const { name, shape, from } = parameter;
    const [first, second] = [from && m.get(from), from && v.get(from)];
    if (from === null || !first || !second || without.has(name)) {
      grown.m.set(name, new Float32Array(sizeOf(shape)));
      grown.v.set(name, new Float32Array(sizeOf(shape)));
      continue;
    }
    const nColumns = shapes.get(from)?.at(-1) ?? 1;
    grown.m.set(name, growMoment(parameter, first, nColumns, 1, policy));
    grown.v.set(name, growMoment(parameter, second, nColumns, 2, policy));
  }
  return { step, ...grown };
}

function growMoment(
  { axes, scale, shape, copy = { index: 0, of: 1 } }: ParameterPlan,
  parent: Float32Array, // [nRows, nColumns]
  nColumns: number,
  power: 1 | 2,
  policy: MomentPolicy,
): Float32Array {
  const [rows, columns] = axes.length === 1 ? [identityAxis(1), axes[0]] : axes;
  const factors = (axis: typeof rows): Float64Array => {
    const met = new Set<number>();
    return gradientShares(axis).map((share, i) => {
      const from = axis.source[i];
      if (from < 0 || axis.donated?.[i] === 1 || (policy === "asymmetric" && met.has(from)))
        return 0;
      met.add(from);
      return share ** power;
    });
  };
  const [byRow, byColumn] = [factors(rows), factors(columns)];
  const width = columns.source.length;
  const out = new Float32Array(sizeOf(shape));
  if (policy === "asymmetric" && copy.index > 0) return out;
  const whole = (1 / (scale * copy.of)) ** power;
  rows.source.forEach((from, row) => {
    const factor = byRow[row] * whole;
    if (factor === 0) return;
    for (let j = 0; j < width; j++) {
      if (byColumn[j] !== 0) {
        out[row * width + j] = factor * byColumn[j] * parent[from * nColumns + columns.source[j]];
      }
    }
  });
  return out;
}

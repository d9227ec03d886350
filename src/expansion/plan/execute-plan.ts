/**
 * @file Runs a growth plan row by row: a row is gathered once from its parent's, with the mean and a zero
 * appended where the plan asks for them, and copied where a later row is the same. Growth is memory
 * traffic; tensor operations of a backend would pass over the child three times. Products in f64,
 * rounded once, so every backend has the same child.
 */
import type { Rng } from "../../engine/index.ts";
import { type HostTensor, sizeOf } from "../../io/index.ts";
import type { HostModel, ModelConfig } from "../../models/index.ts";
import { type AxisMap, FRESH, identityAxis, MEAN, ZERO } from "./axis-map.ts";
import { donorPlan, takeDonated } from "./donated.ts";
import type { GrowthPlan, ParameterPlan } from "./growth-plan.ts";
import { fresh, perturbation } from "./perturbation.ts";

/** The child's weights. Each parameter draws from the stream of its own name. */
export async function executePlan<C extends ModelConfig>(
  plan: GrowthPlan<C>,
  parent: HostModel,
  rng: Rng,
): Promise<HostModel<C>> {
  const weights = new Map<string, HostTensor>();
  for (const parameter of plan.parameters) {
    const { name, shape, from, fill } = parameter;
    let data: Float32Array;
    if (from === null) {
      data = Float32Array.from(fresh(sizeOf(shape), fill, rng.fork(name)));
    } else {
      data = grow(parameter, parameterOf(parent, from), rng.fork(name));
      const donor = donorPlan(parameter);
      if (donor) {
        const source = parameterOf(parent, donor.from as string);
        takeDonated(parameter, data, grow(donor, source, rng.fork(name)));
      }
    }
    weights.set(name, { shape, data });
  }
  return { config: plan.config, weights };
}

function parameterOf(parent: HostModel, name: string): HostTensor {
  const found = parent.weights.get(name);
  if (!found) throw new Error(`internal: the parent has no parameter ${name}`);
  return found;
}

function grow(plan: ParameterPlan, parent: HostTensor, rng: Rng): Float32Array {
  const values = parent.data as Float32Array;
  const nColumns = parent.shape.at(-1) ?? 1;
  const [rows, columns] = plan.axes.length === 1 ? [identityAxis(1), plan.axes[0]] : plan.axes;
  const size = rows.source.length * columns.source.length;
  if (size !== sizeOf(plan.shape) || plan.axes.length > 2) {
    throw new Error(`internal: ${plan.name} would grow to ${size} numbers, not [${plan.shape}]`);
  }
  const added = perturbation(plan, values, nColumns, rng);
  const out = growRows(values, nColumns, rows, columns, plan.scale);
  if (added) for (let i = 0; i < out.length; i++) out[i] += added[i];
  return out;
}

/** scale · w0[i] · w1[j] · parent[s0[i], s1[j]], and 0 on fresh and zero indices; a mean is over the parent's axis. */
function growRows(
  parent: Float32Array, // [nRows, nColumns]
  nColumns: number,
  rows: AxisMap,
  columns: AxisMap,
  scale: number,
): Float32Array {
  const width = columns.source.length;
  const out = new Float32Array(rows.source.length * width);
  const meanOfRows = rows.source.includes(MEAN) ? columnMeans(parent, nColumns) : null;
  const needsMean = columns.source.includes(MEAN);
  const line = new Float64Array(nColumns + 2); // a row of the parent, its mean, and 0
  const rounded = new Float32Array(nColumns + 2);
  const place = columns.source.map((from) =>
    from === MEAN ? nColumns : from < 0 ? nColumns + 1 : from,
  );
  const runs = columns.weight === null ? runsOf(place) : [];
  const made = new Map<number, { readonly at: number; readonly weight: number }>();
  rows.source.forEach((from, row) => {
    if (from === FRESH || from === ZERO) return;
    const at = row * width;
    const weight = scale * (rows.weight?.[row] ?? 1);
    const same = made.get(from);
    if (same?.weight === weight) {
      out.copyWithin(at, same.at, same.at + width);
      return;
    }
    made.set(from, { at, weight });
    const source = meanOfRows && from === MEAN ? meanOfRows : parent;
    const start = from === MEAN ? 0 : from * nColumns;
    for (let j = 0; j < nColumns; j++) line[j] = source[start + j] * weight;
    if (needsMean) line[nColumns] = mean(line.subarray(0, nColumns));
    const { weight: each } = columns;
    if (each) {
      for (let j = 0; j < width; j++) out[at + j] = line[place[j]] * each[j];
      return;
    }
    rounded.set(line);
    for (const { to, from: first, length } of runs) {
      out.set(rounded.subarray(first, first + length), at + to);
    }
  });
  return out;
}

/** Indices cut where one is not the one before it plus 1: a few copies instead of many assignments. */
function runsOf(
  indices: Int32Array,
): { readonly to: number; readonly from: number; readonly length: number }[] {
  const runs: { to: number; from: number; length: number }[] = [];
  indices.forEach((index, to) => {
    const last = runs.at(-1);
    if (last && index === last.from + last.length) last.length += 1;
    else runs.push({ to, from: index, length: 1 });
  });
  return runs;
}

function mean(values: Float64Array): number {
  let sum = 0;
  for (const value of values) sum += value;
  return sum / values.length;
}

function columnMeans(values: Float32Array, nColumns: number): Float64Array {
  const means = new Float64Array(nColumns);
  for (let at = 0; at < values.length; at += nColumns) {
    for (let j = 0; j < nColumns; j++) means[j] += values[at + j];
  }
  const nRows = values.length / nColumns;
  return means.map((sum) => sum / nRows);
}

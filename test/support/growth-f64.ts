/**
 * @file The reference executor of growth plans: one entry at a time, in f64, written from the
 * definition of a plan and not from the executor that goes row by row. Shares only the drawing of noise with it.
 */
import { createRng, type Rng } from "../../src/engine/index.ts";
import type { GrowthPlan, ParameterPlan } from "../../src/expansion/index.ts";
import { FRESH, MEAN, ZERO } from "../../src/expansion/plan/axis-map.ts";
import { fresh, perturbation } from "../../src/expansion/plan/perturbation.ts";
import type { HostTensor } from "../../src/io/index.ts";
import type { Gpt2Config, HostModel } from "../../src/models/index.ts";
import { gpt2Shapes } from "../../src/models/index.ts";

/** The child's weights in f64, with the same draws as `executePlan(plan, parent, rng)`. */
export function executePlanF64(plan: GrowthPlan, parent: HostModel, rng: Rng): HostModel {
  const weights = new Map<string, HostTensor>();
  for (const parameter of plan.parameters) {
    const { name, shape, from } = parameter;
    const data =
      from === null
        ? fresh(shape, parameter.fill, rng.fork(name))
        : entries(parameter, parent.weights.get(from)!, rng.fork(name));
    if (from !== null && parameter.donor) {
      const second = entries(
        { ...parameter, from: parameter.donor },
        parent.weights.get(parameter.donor)!,
        rng.fork(name),
      );
      const columns = shape[shape.length - 1];
      const [rowAxis, columnAxis] =
        parameter.axes.length === 1 ? [undefined, parameter.axes[0]] : parameter.axes;
      data.forEach((_, i) => {
        const row = rowAxis?.donated?.[Math.floor(i / columns)];
        if (row || columnAxis.donated?.[i % columns]) data[i] = second[i];
      });
    }
    weights.set(name, { shape, data });
  }
  return { config: plan.config, weights };
}

function entries(plan: ParameterPlan, parent: HostTensor, rng: Rng): Float64Array {
  const values = Float64Array.from(parent.data as Float32Array);
  const rows = parent.shape.length === 1 ? 1 : parent.shape[0];
  const columns = parent.shape[parent.shape.length - 1];
  const [rowAxis, columnAxis] =
    plan.axes.length === 1
      ? [{ source: new Int32Array(1), weight: null }, plan.axes[0]]
      : plan.axes;
  const added = perturbation(plan, values, columns, rng);
  const out = new Float64Array(rowAxis.source.length * columnAxis.source.length);
  rowAxis.source.forEach((row, i) => {
    columnAxis.source.forEach((column, j) => {
      const at = i * columnAxis.source.length + j;
      out[at] = added?.[at] ?? 0;
      if ([FRESH, ZERO].includes(row) || [FRESH, ZERO].includes(column)) return;
      const fromRows = row === MEAN ? [...Array(rows).keys()] : [row];
      const fromColumns = column === MEAN ? [...Array(columns).keys()] : [column];
      let total = 0;
      for (const r of fromRows) for (const c of fromColumns) total += values[r * columns + c];
      const mean = total / (fromRows.length * fromColumns.length);
      const weight = (rowAxis.weight?.[i] ?? 1) * (columnAxis.weight?.[j] ?? 1);
      out[at] += plan.scale * weight * mean;
    });
  });
  return out;
}

/** A model whose every parameter is random, norms and biases too, so that nothing hides behind a zero. */
export function randomModel(config: Gpt2Config, seed: number | string): HostModel<Gpt2Config> {
  const weights = new Map<string, HostTensor>();
  for (const [name, shape] of gpt2Shapes(config)) {
    const rng = createRng(seed).fork(name);
    const isGain = /ln_\w+\.weight$/.test(name);
    const data = new Float32Array(shape.reduce((a, b) => a * b));
    for (let i = 0; i < data.length; i++) data[i] = (isGain ? 1 : 0) + 0.3 * rng.normal();
    weights.set(name, { shape, data });
  }
  return { config, weights };
}

/**
 * @file Runs a growth plan by tensor operations on the active backend: one gather an axis, over the
 * parent's tensor with its mean and a zero appended where the plan asks for them. f32; the same plan
 * in plain f64 loops is the reference in the tests.
 */
import { type Rng, tf } from "../engine/index.ts";
import { type HostTensor, sizeOf } from "../io/index.ts";
import type { Gpt2Config, HostModel } from "../models/index.ts";
import { type AxisMap, FRESH, isIdentityAxis, MEAN } from "./axis-map.ts";
import type { GrowthPlan, ParameterPlan } from "./growth-plan.ts";
import { perturbation } from "./perturbation.ts";

/** The child's weights. Each parameter draws from the stream of its own name. */
export async function executePlan(
  plan: GrowthPlan,
  parent: HostModel,
  rng: Rng,
): Promise<HostModel<Gpt2Config>> {
  const weights = new Map<string, HostTensor>();
  for (const parameter of plan.parameters) {
    const { name, shape, from, fill } = parameter;
    let data: Float32Array;
    if (from === null) {
      data = new Float32Array(sizeOf(shape)).fill(fill as number);
    } else {
      const source = parent.weights.get(from);
      if (!source) throw new Error(`internal: the parent has no parameter ${from}`);
      data = await grow(parameter, source, rng.fork(name));
    }
    weights.set(name, { shape, data });
  }
  return { config: plan.config, weights };
}

async function grow(plan: ParameterPlan, parent: HostTensor, rng: Rng): Promise<Float32Array> {
  const values = parent.data as Float32Array;
  const added = perturbation(plan, values, parent.shape.at(-1) ?? 1, rng);
  const grown = tf.tidy(() => {
    // copied: some backends keep the array they are given
    let tensor: tf.Tensor = tf.tensor(values.slice(), [...parent.shape], "float32");
    plan.axes.forEach((axis, dimension) => {
      tensor = growAxis(tensor, axis, dimension);
    });
    if (plan.scale !== 1) tensor = tf.mul(tensor, plan.scale);
    if (added === null) return tensor;
    return tf.add(tensor, tf.tensor(Float32Array.from(added), [...plan.shape], "float32"));
  });
  const data = (await grown.data()).slice() as Float32Array;
  grown.dispose();
  if (data.length !== sizeOf(plan.shape)) {
    throw new Error(`internal: ${plan.name} grew to ${data.length} numbers, not [${plan.shape}]`);
  }
  return data;
}

function growAxis(tensor: tf.Tensor, axis: AxisMap, dimension: number): tf.Tensor {
  const n = tensor.shape[dimension];
  if (isIdentityAxis(axis, n)) return tensor;
  const { source, weight } = axis;
  const parts = [tensor];
  let mean = -1;
  let zero = -1;
  if (source.includes(MEAN)) {
    mean = n;
    parts.push(tf.mean(tensor, dimension, true));
  }
  if (source.includes(FRESH)) {
    zero = n + parts.length - 1;
    parts.push(tf.zeros(tensor.shape.map((size, i) => (i === dimension ? 1 : size))));
  }
  const index = source.map((from) => (from === MEAN ? mean : from === FRESH ? zero : from));
  const whole = parts.length === 1 ? tensor : tf.concat(parts, dimension);
  const grown = tf.gather(whole, tf.tensor1d(index, "int32"), dimension);
  if (weight === null) return grown;
  const along = tensor.shape.map((_, i) => (i === dimension ? weight.length : 1));
  return tf.mul(grown, tf.tensor(Float32Array.from(weight), along, "float32"));
}

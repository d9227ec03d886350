/**
 * @file Runs a growth plan, a parameter at a time and each in blocks of rows, on the active backend's kernels. Growth
 * is memory traffic: a row is gathered once and written once. Products in f64, rounded once, and random numbers by
 * their place, so that every backend, thread count and block size has the same child.
 */
import { growRows, type Rng } from "../../engine/index.ts";
import { type HostTensor, sizeOf } from "../../io/index.ts";
import type { HostModel, ModelConfig } from "../../models/index.ts";
import { donorPlan, takeDonated } from "./donated.ts";
import type { GrowthPlan, ParameterPlan } from "./growth-plan.ts";
import { freshRecipe, recipeOf } from "./recipe.ts";

const nothing = new Float32Array(0);

/** One parameter of the child, made block by block. */
export interface GrowingTensor {
  readonly shape: readonly number[];
  /** Numbers in a row; a vector is one row. */
  readonly width: number;
  /** Writes rows `first`… of it into `out`, as many as it holds. */
  fill(first: number, out: Float32Array): void;
}

/** The child's weights. Each parameter draws from the stream of its own name. */
export async function executePlan<C extends ModelConfig>(
  plan: GrowthPlan<C>,
  parent: HostModel,
  rng: Rng,
): Promise<HostModel<C>> {
  const weights = new Map<string, HostTensor>();
  for (const parameter of plan.parameters) {
    const { name, shape } = parameter;
    const growing = growTensor(parameter, (from) => parent.weights.get(from), rng);
    const data = unwrittenArray(sizeOf(shape));
    growing.fill(0, data);
    weights.set(name, { shape, data });
  }
  return { config: plan.config, weights };
}

/** A parameter ready to be made; `read` has the parent's by name. `rng` is the child's, forked here by name. */
export function growTensor(
  plan: ParameterPlan,
  read: (name: string) => HostTensor | undefined,
  rng: Rng,
): GrowingTensor {
  const { name, shape, from, fill } = plan;
  const width = shape.at(-1) ?? 1;
  if (from === null) {
    const recipe = freshRecipe(shape, fill, rng.fork(name));
    return { shape, width, fill: (first, out) => growRows(nothing, recipe, first, out) };
  }
  const parent = read(from);
  if (!parent) throw new Error(`internal: the parent has no parameter ${from}`);
  const values = parent.data as Float32Array;
  const recipe = recipeOf(plan, values, parent.shape.at(-1) ?? 1, rng.fork(name));
  const own = (first: number, out: Float32Array): void => growRows(values, recipe, first, out);
  const second = donorPlan(plan);
  if (!second) return { shape, width, fill: own };
  const donor = growTensor(second, read, rng);
  return {
    shape,
    width,
    fill(first, out) {
      own(first, out);
      const given = unwrittenArray(out.length);
      donor.fill(first, given);
      takeDonated(plan, out, given, first);
    },
  };
}

/** An array whose numbers are yet to be written: not cleared, which would be one more pass over it. */
function unwrittenArray(length: number): Float32Array {
  return new Float32Array(Buffer.allocUnsafeSlow(4 * length).buffer);
}

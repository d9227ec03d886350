/**
 * @file A growth plan: for each parameter of the child, where its entries come from, what fresh
 * entries hold and which noise is added. Plans are data: `execute-plan.ts` runs one row by
 * row, and the tests run the same plan entry by entry in f64.
 */
import type { ModelConfig } from "../../models/index.ts";
import type { AxisMap } from "./axis-map.ts";

/**
 * What the entries on a fresh index hold: a constant, normal draws at the parent parameter's RMS, or normal draws of a
 * given deviation (of a parameter that has no parent).
 */
export type Fill = number | "parent-scale" | { readonly normal: number };

/** Element-wise normal noise on a matrix; with a plan whose scale is 0, all there is but fresh entries. */
export interface Noise {
  /** Signal to noise: 10·log10(mean square of the entries it falls on / variance of the noise). */
  readonly snrDb: number;
  /**
   * True: only rows that are copies of one parent row get noise, and it sums to zero over the
   * copies, so that equal inputs give the same output. False: every inherited entry gets noise.
   */
  readonly balanced: boolean;
  /** The dimension along which the matrix is read: its indices are the rows above. Default 0, as in Conv1D. */
  readonly inputAxis?: 0 | 1;
}

/** A parameter that is one of several copies of a whole parameter of the parent, as experts are: which, of how many. */
export interface WholeCopy {
  readonly index: number;
  readonly of: number;
}

/** One parameter: child[i, j] = scale · w0[i] · w1[j] · parent[s0[i], s1[j]], or its fill, plus noise. */
export interface ParameterPlan {
  /** The child's name. */
  readonly name: string;
  /** The parent's name; null = there is none and `fill` is what the whole parameter holds. */
  readonly from: string | null;
  /** The parent's parameter that donated entries of the axes come from; without one there are none. */
  readonly donor?: string | null;
  readonly shape: readonly number[];
  /** One per dimension; empty where `from` is null. */
  readonly axes: readonly AxisMap[];
  readonly scale: number;
  readonly fill: Fill;
  readonly noise: Noise | null;
  /**
   * Normal draws around rows that are the mean over the parent's rows (tokens of a vocabulary), with this share of the
   * rows' deviation from it. They are drawn in the parent's width and take the columns' map. Default 0.
   */
  readonly rowSpread?: number;
  /** Absent where no other parameter of the layer copies the same one. */
  readonly copy?: WholeCopy;
}

/** The whole child. */
export interface GrowthPlan<C extends ModelConfig = ModelConfig> {
  readonly config: C;
  readonly parameters: readonly ParameterPlan[];
}

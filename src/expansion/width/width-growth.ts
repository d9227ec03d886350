/**
 * @file What a width method is: the residual stream's growth from d to D as axes and factors that a plan puts on
 * every parameter, the copying of heads and neurons, and what it allows and claims. `width-methods.ts` is the table.
 */
import type { Rng } from "../../engine/index.ts";
import type { DenseMap } from "../map/vector-map.ts";
import type { AxisMap } from "../plan/axis-map.ts";
import type { FanOut } from "../plan/fan-out.ts";

/** The norm that reads the stream: with its mean taken off, or not. */
export type NormKind = "layer" | "rms";

/** What a width method says about the residual stream; everything a plan for any parameter needs. */
export interface WidthGrowth {
  /** Input axis of matrices that read the normalised stream: the copies of a column sum to it. */
  readonly read: AxisMap;
  /** Output axis of whatever writes into the stream: left multiplication by E. */
  readonly write: AxisMap;
  /** Axis of a norm's gain and bias. */
  readonly norm: AxisMap;
  /**
   * The same for the final norm, whose weights take the copies back where embeddings are tied: the logits would
   * otherwise count each coordinate as often as it was copied.
   */
  readonly finalNorm: AxisMap;
  /** Factor on a norm's gain; fresh gains are this factor itself times their weight, never zero. */
  readonly gainFactor: number;
  /** E and R of the residual stream; null where the width does not change. */
  readonly residual: DenseMap | null;
  /** E and R of what a norm inside a block puts out, with gain and bias; null where the width does not change. */
  readonly normed: DenseMap | null;
  /** E and R of the final norm's output; null where the width does not change. */
  readonly final: DenseMap | null;
}

/** What of a model the growth of its stream depends on besides its width. */
export interface StreamOptions {
  readonly norm: NormKind;
  /** Whether the unembedding is the embedding. */
  readonly tied: boolean;
}

/** The names of the width methods, as users write them. */
export type WidthMethodName =
  | "lemon"
  | "hypercloning"
  | "gesmundo-maile"
  | "net2net"
  | "bert2bert-fpi"
  | "bert2bert-aki";

/** The names of all growth methods of the width: those that a plan can state, and `ligo`, which learns. */
export type GrowthMethodName = WidthMethodName | "ligo";

/** What a method that widens a model allows and claims. */
export interface WidthClaims {
  /** Whether every size that grows must be a whole multiple of the parent's. */
  readonly wholeMultiples: boolean;
  /** The norms under which the method can grow the residual stream; inner sizes grow under any. */
  readonly norms: readonly NormKind[];
  /** Factor on the norms' epsilon for a stream of width d that becomes D. */
  epsFactor(d: number, D: number): number;
  /** Why the child doesn't compute what its parent does, for a stream of width d that becomes D; null where it does. */
  whyInexact(d: number, D: number): string | null;
}

/** A way to widen a model that is known before any of it is there. */
export interface WidthMethod extends WidthClaims {
  /** Whether what is added to a layer's outputs comes from the parent's next layer, where it has one. */
  readonly fromNextLayer?: boolean;
  /** The growth of the residual stream from width d to width D ≥ d. */
  stream(d: number, D: number, options: StreamOptions, rng: Rng): WidthGrowth;
  /** Which of the parent's n heads (groups that share a key head) or neurons each of the child's N ≥ n is. */
  units(n: number, N: number, rng: Rng): FanOut;
}

/**
 * @file What a depth method says about a child: which of the parent's layers each of its layers comes from, and which
 * of them add nothing. How far the child goes through the parent's layers in their order follows from that alone.
 */

/** The names of the depth methods, as users write them. */
export type DepthMethodName = "identity" | "stack" | "solar" | "cancel";

/**
 * How an inserted block adds nothing to the stream: its output matrices are zero, or random and sum to zero over the
 * copies of each head and neuron.
 */
export type Silence = "zero" | "cancelling";

/** One layer of the child. */
export interface ChildLayer {
  /** The parent's layer whose weights it has. */
  readonly source: number;
  /** Inserted blocks add nothing, in this way; false = the layer does what the parent's does. */
  readonly inserted: false | Silence;
}

/**
 * The parent's layers that the stream has been through before each layer of the child, [0, …]: one entry a boundary,
 * from below the first layer up, as long as those were the parent's first ones in their order. So boundary i of the
 * child holds what the parent's boundary `prefix[i]` holds. The list has one entry more than the child has layers
 * where the whole child keeps to that order.
 */
export function exactPrefix(layers: readonly ChildLayer[]): readonly number[] {
  const applied = [0];
  for (const { source, inserted } of layers) {
    const before = applied[applied.length - 1];
    if (!inserted && source !== before) break;
    applied.push(inserted ? before : before + 1);
  }
  return applied;
}

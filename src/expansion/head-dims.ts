/**
 * @file Heads of another size: where each number of a query, key and value comes from, so that q·k/√size and what
 * a head writes stay (Gesmundo & Maile 2023, transforms 6.3 and 6.4; rotary pairs and head norms worked out here).
 * New key numbers are 0 and the others grow by √(N/n); new queries are drawn, so that both sides get gradients.
 * Limits: rotary heads need an even size, heads with norms (Qwen3) a whole multiple.
 */
import { UsageError } from "../io/index.ts";
import { type ModelConfig, modelSizes, type Rope, rotaryDims } from "../models/index.ts";
import { type AxisMap, FRESH, identityAxis, ZERO } from "./plan/axis-map.ts";

/** The numbers of one head, [N] of the parent's [n]. */
export interface HeadDims {
  readonly query: AxisMap;
  readonly key: AxisMap;
  /** 0 on new numbers: what leaves the head there is 0. */
  readonly value: AxisMap;
  /** What of the head the output matrix reads; its columns for new numbers are drawn. */
  readonly out: AxisMap;
  /** Gains of the norms of each head's query and key. */
  readonly queryGain: AxisMap;
  readonly keyGain: AxisMap;
}

/** Heads of `size` numbers in place of the parent's. Errors: internal for a size that `checkHeadSize` refuses. */
export function headDims(parent: ModelConfig, size: number): HeadDims {
  const { headDim: n } = modelSizes(parent);
  const kept = identityAxis(n);
  if (size === n) {
    return { query: kept, key: kept, value: kept, out: kept, queryGain: kept, keyGain: kept };
  }
  const padded = (rest: number): AxisMap => ({
    source: Int32Array.from({ length: size }, (_, i) => (i < n ? i : rest)),
    weight: null,
  });
  const place = placement(parent, size);
  const placed = (rest: number): AxisMap => {
    const source = new Int32Array(size).fill(rest);
    place.forEach((to, i) => {
      source[to] = i;
    });
    return { source, weight: null };
  };
  const scaled = ({ source }: AxisMap): AxisMap => ({
    source,
    weight: new Float64Array(size).fill(Math.sqrt(size / n)),
  });
  const ends = { value: padded(ZERO), out: padded(FRESH) };
  if (!hasHeadNorms(parent)) {
    const [query, key] = [placed(FRESH), scaled(placed(ZERO))];
    return { ...ends, query, key, queryGain: query, keyGain: key };
  }
  // m copies of a query have its mean square, so the norm and its epsilon stay; the key's gain is 0 on all but one
  const copies: AxisMap = {
    source: Int32Array.from({ length: size }, (_, i) => Math.floor((i * n) / size)),
    weight: null,
  };
  return {
    ...ends,
    query: copies,
    key: copies,
    queryGain: copies,
    keyGain: scaled(placed(ZERO)),
  };
}

/** The child's rotary settings for heads of `size`; undefined where there are none or nothing changes. */
export function headRope(parent: ModelConfig, size: number): Rope | undefined {
  const { headDim } = modelSizes(parent);
  if (!("rope" in parent) || size === headDim) return undefined;
  const { rope } = parent;
  if (parent.model_type === "gpt_neox") {
    return { ...rope, share: shareOf(rotaryDims(headDim, rope), size) };
  }
  const step = Math.floor(size / headDim);
  return { ...rope, theta: rope.theta ** (size / (step * headDim)) };
}

/** Errors: UsageError for heads that are smaller, or of a size at which the function can't be kept. */
export function checkHeadSize(parent: ModelConfig, size: number): void {
  const { headDim } = modelSizes(parent);
  const isWhole = Number.isSafeInteger(size);
  if (!isWhole || size < headDim) {
    throw new UsageError({
      code: "child-too-small",
      where: "--head-dim",
      expected: `a whole number of at least the parent's ${headDim}`,
      got: String(size),
      hint: "Expansion only adds; to shrink a model, train a smaller one.",
    });
  }
  const isTurned = "rope" in parent && parent.model_type !== "gpt_neox";
  const step = hasHeadNorms(parent) ? headDim : isTurned ? 2 : 1;
  if (size % step === 0) return;
  const below = Math.floor(size / step) * step;
  throw new UsageError({
    code: "head-dim",
    where: "--head-dim",
    expected: hasHeadNorms(parent)
      ? `a multiple of ${headDim}: the norm of each head keeps its epsilon only over whole copies`
      : "an even number: rotary positions turn numbers in pairs",
    got: String(size),
    hint: `The nearest valid sizes are ${below} and ${below + step}.`,
  });
}

/** Whether the query and key of each head have a norm of their own. */
export function hasHeadNorms({ model_type }: ModelConfig): boolean {
  return model_type === "qwen3";
}

/**
 * Where number i of the parent's query goes. Rotary heads pair number i with number i + half, and turn pair i by
 * θ^(−2i/n). With m = ⌊N/n⌋ pair i goes to m·i, and θ becomes θ^(N/mn), which at whole multiples is θ itself: the
 * pair turns as before. GPT-NeoX turns the first numbers of a head only, and as many as before.
 */
function placement(parent: ModelConfig, size: number): Int32Array {
  const { headDim: n } = modelSizes(parent);
  if (!("rope" in parent) || parent.model_type === "gpt_neox") return identityAxis(n).source;
  const step = Math.floor(size / n);
  return Int32Array.from({ length: n }, (_, i) =>
    i < n / 2 ? step * i : size / 2 + step * (i - n / 2),
  );
}

/** A share of `size` numbers that transformers' int(size · share) takes for `dims`. */
function shareOf(dims: number, size: number): number {
  const shares = [dims / size, (dims + 0.5) / size];
  const share = shares.find((value) => Math.floor(size * value) === dims);
  if (share === undefined) throw new Error(`internal: no share of ${size} makes ${dims}`);
  return share;
}

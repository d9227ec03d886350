/**
 * @file The configuration of the child: which sizes a GPT-2 can grow to, and the errors that name
 * the nearest ones it can. Head dimension stays fixed and heads are added, so that the width is
 * always heads · head_dim.
 */
import { UsageError } from "../io/index.ts";
import {
  familyTitle,
  type Gpt2Config,
  type ModelConfig,
  modelSizes,
  parameterCount,
} from "../models/index.ts";
import type { SizeInfo } from "./expansion-map.ts";
import { lemonWidth } from "./lemon.ts";

/** Absolute sizes of the child; what is left out stays, except that the MLP keeps its ratio to the width. */
export interface ChildSizes {
  readonly width?: number;
  readonly heads?: number;
  readonly layers?: number;
  readonly mlp?: number;
}

/**
 * The child's configuration, its epsilon included. Errors: UsageError when a size is below the
 * parent's, when width and heads disagree, when the width is no multiple of the head dimension, or
 * when nothing grows.
 */
export function childConfig(given: ModelConfig, sizes: ChildSizes): Gpt2Config {
  const parent = growable(given);
  const headDim = parent.n_embd / parent.n_head;
  const n_embd = sizes.width ?? (sizes.heads ?? parent.n_head) * headDim;
  const n_head = n_embd / headDim;
  const n_layer = sizes.layers ?? parent.n_layer;
  const n_inner = sizes.mlp ?? Math.round((parent.n_inner * n_embd) / parent.n_embd);
  atLeast("--heads", sizes.heads, parent.n_head);
  atLeast("--width", n_embd, parent.n_embd);
  if (!Number.isInteger(n_head)) {
    const below = Math.max(Math.floor(n_head) * headDim, parent.n_embd);
    const above = Math.ceil(n_head) * headDim;
    throw new UsageError({
      code: "width-not-divisible",
      where: "--width",
      expected: `a multiple of the head dimension ${headDim}: heads are added, their size stays`,
      got: String(n_embd),
      hint: `The nearest valid widths are ${below} and ${above}.`,
    });
  }
  if (sizes.heads !== undefined && sizes.heads !== n_head) {
    throw new UsageError({
      code: "heads-width-mismatch",
      where: "--heads",
      expected: `${n_head} heads of ${headDim} for a width of ${n_embd}`,
      got: String(sizes.heads),
      hint: "Give one of --width and --heads; the other follows.",
    });
  }
  atLeast("--layers", n_layer, parent.n_layer);
  atLeast("--mlp", n_inner, parent.n_inner);
  if (n_embd === parent.n_embd && n_layer === parent.n_layer && n_inner === parent.n_inner) {
    throw new UsageError({
      code: "nothing-to-grow",
      where: "expand",
      expected: "at least one of --width, --heads, --layers, --mlp above the parent's size",
      got: `the parent's sizes: width ${n_embd}, ${n_layer} layers, MLP ${n_inner}`,
    });
  }
  const { epsFactor } = lemonWidth(parent.n_embd, n_embd);
  const layer_norm_epsilon = parent.layer_norm_epsilon * epsFactor;
  return { ...parent, n_embd, n_head, n_layer, n_inner, layer_norm_epsilon };
}

/** The sizes that the map and the JSON documents state. */
export function sizeInfo(config: ModelConfig): SizeInfo {
  const { dModel, nLayer, nHead, dMlp } = modelSizes(config);
  return {
    d_model: dModel,
    n_layer: nLayer,
    n_head: nHead,
    d_mlp: dMlp,
    params: parameterCount(config),
  };
}

/** The configuration as a GPT-2's. Errors: UsageError for another family, which this version can't grow. */
export function growable(config: ModelConfig): Gpt2Config {
  if (config.model_type === "gpt2") return config;
  throw new UsageError({
    code: "unsupported-architecture",
    where: "expand",
    expected: "a GPT-2 model (the family that this version grows)",
    got: `${familyTitle(config)} (${config.model_type})`,
  });
}

function atLeast(where: string, size: number | undefined, smallest: number): void {
  if (size === undefined) return;
  if (Number.isSafeInteger(size) && size >= smallest) return;
  throw new UsageError({
    code: "child-too-small",
    where,
    expected: `a whole number of at least the parent's ${smallest}`,
    got: String(size),
    hint: "Expansion only adds; to shrink a model, train a smaller one.",
  });
}

/**
 * @file The configuration of the child: which sizes a model can grow to, and the errors that name the nearest ones it
 * can. Unless another head dimension is asked for it stays and heads are added: in GPT-2 and GPT-NeoX as the width asks, in
 * the Llama family in whole groups that share a key head, or as the numbers of heads and key heads say.
 */
import { UsageError } from "../io/index.ts";
import {
  type LlamaConfig,
  type MixtralConfig,
  type ModelConfig,
  type ModelSizes,
  modelSizes,
  parameterCount,
  resizedConfig,
} from "../models/index.ts";
import { layoutOf } from "./block-layout.ts";
import { type ExpertSizes, upcycledConfig } from "./experts/moe-upcycle.ts";
import { checkHeadSize, headRope } from "./head-dims.ts";
import { holdsEveryQuery } from "./head-groups.ts";
import type { SizeInfo } from "./map/expansion-map.ts";
import type { GrowthMethodName } from "./width/width-growth.ts";
import { growthMethods } from "./width/width-methods.ts";

/** Absolute sizes of the child; what is left out stays, except that the MLP keeps its ratio to the width. */
export interface ChildSizes extends Partial<ExpertSizes> {
  readonly width?: number;
  readonly heads?: number;
  /** Heads of keys and values. */
  readonly kvHeads?: number;
  /** Numbers a head. */
  readonly headDim?: number;
  readonly layers?: number;
  readonly mlp?: number;
  /** Tokens. */
  readonly vocab?: number;
}

/** Sizes and the method that widens to them; without one, LEMON. */
export interface ChildGrowth extends ChildSizes {
  readonly method?: GrowthMethodName;
}
/** What a model of a configuration can become: Llamas and Mistrals also a Mixtral. */
export type ChildConfig<C extends ModelConfig> = C extends LlamaConfig ? C | MixtralConfig : C;

/** Whether the heads always make up the width. */
function isBound({ model_type }: ModelConfig): boolean {
  return model_type === "gpt2" || model_type === "gpt_neox";
}

/**
 * The step between widths that a relative width is rounded to, so that heads can follow: the head dimension, times the
 * queries that share a key head. Where heads don't make up the width it is 1, or what transformers asks of a Llama.
 * Methods that only multiply step by the whole width.
 */
export function widthStep(
  config: ModelConfig,
  method: GrowthMethodName,
  headDim: number = modelSizes(config).headDim,
): number {
  const parent = modelSizes(config);
  const { dModel, nHead, nKvHead } = parent;
  if (growthMethods[method].wholeMultiples) return dModel;
  if (isBound(config) || nHead * parent.headDim === dModel) return headDim * (nHead / nKvHead);
  return config.model_type === "llama" ? nHead : 1;
}

/**
 * The child's configuration, its epsilon included. Errors: UsageError when a size is below the
 * parent's, when width and heads disagree, when the width is no multiple of the head dimension, when the width
 * method can't grow to them, or when nothing grows.
 */
export function childConfig<C extends ModelConfig>(config: C, sizes: ChildGrowth): ChildConfig<C> {
  const { experts, expertsPerToken } = sizes;
  if (experts === undefined) {
    if (expertsPerToken !== undefined) {
      throw new UsageError({
        code: "experts-per-token",
        where: "--experts-per-token",
        expected: "--experts beside it: how many experts there are to choose from",
        got: String(expertsPerToken),
      });
    }
    return denseConfig(config, sizes) as ChildConfig<C>;
  }
  const upcycled = upcycledConfig(config, { experts, expertsPerToken });
  if (!isGrown(config, sizes)) return upcycled as ChildConfig<C>;
  const dense = denseConfig<ModelConfig>(config, sizes);
  return upcycledConfig(dense, { experts, expertsPerToken }) as ChildConfig<C>;
}

/** Whether a size is given that isn't the parent's. */
function isGrown(config: ModelConfig, sizes: ChildSizes): boolean {
  const { dModel, nHead, nKvHead, headDim, nLayer, dMlp, vocabSize } = modelSizes(config);
  const { width, heads, kvHeads, layers, mlp, vocab } = sizes;
  const given = [width, heads, kvHeads, sizes.headDim, layers, mlp, vocab];
  const were = [dModel, nHead, nKvHead, headDim, nLayer, dMlp, vocabSize];
  return given.some((size, i) => size !== undefined && size !== were[i]);
}

/** The child's configuration but for its experts. */
function denseConfig<C extends ModelConfig>(config: C, sizes: ChildGrowth): C {
  const parent = modelSizes(config);
  const headDim = sizes.headDim ?? parent.headDim;
  checkHeadSize(config, headDim);
  const bound = isBound(config);
  const group = parent.nHead / parent.nKvHead;
  const dModel = sizes.width ?? (bound ? (sizes.heads ?? parent.nHead) * headDim : parent.dModel);
  const fitting = dModel / headDim;
  const follows =
    bound ||
    (parent.nHead * parent.headDim === parent.dModel &&
      fitting >= parent.nHead &&
      fitting % (sizes.kvHeads ?? group) === 0);
  const nHead = bound ? fitting : (sizes.heads ?? (follows ? fitting : parent.nHead));
  const nLayer = sizes.layers ?? parent.nLayer;
  const dMlp = sizes.mlp ?? Math.round((parent.dMlp * dModel) / parent.dModel);
  atLeast("--heads", sizes.heads, parent.nHead);
  atLeast("--width", dModel, parent.dModel);
  if (!Number.isInteger(nHead) || nHead < parent.nHead) {
    const below = Math.max(Math.floor(nHead), parent.nHead) * headDim;
    const above = Math.max(Math.ceil(nHead), parent.nHead + 1) * headDim;
    throw new UsageError({
      code: "width-not-divisible",
      where: "--width",
      expected: `a multiple of the head dimension ${headDim}, for at least the parent's ${parent.nHead} heads: in this family they make up the width`,
      got: String(dModel),
      hint: `The nearest valid widths are ${below} and ${above}.`,
    });
  }
  if (sizes.heads !== undefined && sizes.heads !== nHead) {
    throw new UsageError({
      code: "heads-width-mismatch",
      where: "--heads",
      expected: `${nHead} heads of ${headDim} for a width of ${dModel}`,
      got: String(sizes.heads),
      hint: "Give one of --width and --heads; the other follows.",
    });
  }
  const nKvHead = sizes.kvHeads ?? nHead / group;
  if (!Number.isInteger(nKvHead)) {
    const below = Math.floor(nHead / group) * group;
    throw new UsageError({
      code: "heads-not-grouped",
      where: "--heads",
      expected: `a multiple of ${group}, the query heads that share a key head`,
      got: String(nHead),
      hint: `The nearest valid numbers are ${below} and ${below + group}; with --kv-heads groups get another size.`,
    });
  }
  checkKeyHeads(config, { nHead, nKvHead });
  if (config.model_type === "llama" && dModel % nHead !== 0) {
    const below = Math.max(Math.floor(dModel / nHead) * nHead, parent.dModel);
    throw new UsageError({
      code: "width-not-divisible",
      where: "--width",
      expected: `a multiple of the ${nHead} heads, which transformers asks of a Llama`,
      got: String(dModel),
      hint: `The nearest valid widths are ${below} and ${Math.ceil(dModel / nHead) * nHead}.`,
    });
  }
  atLeast("--layers", nLayer, parent.nLayer);
  atLeast("--mlp", dMlp, parent.dMlp);
  const vocabSize = sizes.vocab ?? parent.vocabSize;
  atLeast("--vocab", vocabSize, parent.vocabSize);
  const now = { dModel, nLayer, nHead, nKvHead, headDim, dMlp, vocabSize };
  if (Object.entries(now).every(([name, size]) => size === parent[name as keyof typeof now])) {
    throw new UsageError({
      code: "nothing-to-grow",
      where: "expand",
      expected:
        "at least one of --width, --heads, --kv-heads, --head-dim, --layers, --mlp, --vocab above the parent's size, or --experts",
      got: `the parent's sizes: width ${dModel}, ${nLayer} layers, MLP ${dMlp}`,
    });
  }
  const name = sizes.method ?? "lemon";
  checkMethod(name, config, now);
  const epsFactor = growthMethods[name].epsFactor(parent.dModel, dModel);
  return resizedConfig(config, {
    ...now,
    normEps: parent.normEps * epsFactor,
    rope: headRope(config, headDim),
  });
}

/** Errors: UsageError where the method doesn't grow to these sizes, or not under the model's norms. */
function checkMethod(
  name: GrowthMethodName,
  config: ModelConfig,
  child: Pick<ModelSizes, "dModel" | "nHead" | "nKvHead" | "dMlp">,
): void {
  const parent = modelSizes(config);
  const { wholeMultiples, norms } = growthMethods[name];
  if (child.dModel > parent.dModel && !norms.includes(layoutOf(config).norm)) {
    throw new UsageError({
      code: "method-norm",
      where: "--method",
      expected: `a method that can widen a stream read by LayerNorm: ${name} adds zeros, which shift its mean`,
      got: name,
      hint: "lemon is exact here at any width; under LayerNorm this method grows only --mlp.",
    });
  }
  if (!wholeMultiples) return;
  const sizes = [
    ["--width", child.dModel, parent.dModel],
    ["--heads", child.nHead, parent.nHead],
    ["--kv-heads", child.nKvHead, parent.nKvHead],
    ["--mlp", child.dMlp, parent.dMlp],
  ] as const;
  for (const [where, size, was] of sizes) {
    if (size % was === 0) continue;
    const below = Math.floor(size / was) * was;
    throw new UsageError({
      code: "method-multiples",
      where,
      expected: `a whole multiple of the parent's ${was}, which is all that ${name} grows to`,
      got: String(size),
      hint: `The nearest are ${below} and ${below + was}; lemon grows to any size.`,
    });
  }
}

/** Errors: UsageError for key heads that don't divide the heads, or whose copies can't hold every query of the parent. */
function checkKeyHeads(
  config: ModelConfig,
  child: { readonly nHead: number; readonly nKvHead: number },
): void {
  const parent = modelSizes(config);
  const where = "--kv-heads";
  const { nHead, nKvHead } = child;
  if (isBound(config)) {
    if (nKvHead === nHead) return;
    throw new UsageError({
      code: "kv-heads",
      where,
      expected: `${nHead}, or no --kv-heads: in this family every head has a key head of its own`,
      got: String(nKvHead),
    });
  }
  atLeast(where, nKvHead, parent.nKvHead);
  const holds = (count: number): boolean =>
    nHead % count === 0 && holdsEveryQuery(parent, { nHead, nKvHead: count });
  if (holds(nKvHead)) return;
  const valid = Array.from({ length: nHead }, (_, i) => i + 1).filter(
    (count) => count >= parent.nKvHead && holds(count),
  );
  const nearest = valid
    .sort((a, b) => Math.abs(a - nKvHead) - Math.abs(b - nKvHead))
    .slice(0, 2)
    .sort((a, b) => a - b);
  throw new UsageError({
    code: "kv-heads",
    where,
    expected: `a divisor of the ${nHead} heads whose groups have room for the parent's queries, ${parent.nHead / parent.nKvHead} to a key head`,
    got: String(nKvHead),
    hint:
      nearest.length === 0
        ? "With --heads there is room for more."
        : `The nearest valid: ${nearest.join(" and ")}.`,
  });
}

/** The sizes that the map and the JSON documents state. */
export function sizeInfo(config: ModelConfig): SizeInfo {
  const { dModel, nLayer, nHead, nKvHead, headDim, dMlp, experts, vocabSize } = modelSizes(config);
  return {
    d_model: dModel,
    n_layer: nLayer,
    n_head: nHead,
    ...(nKvHead === nHead ? {} : { n_kv_head: nKvHead }),
    ...(nHead * headDim === dModel ? {} : { d_head: headDim }),
    d_mlp: dMlp,
    ...(experts && { n_expert: experts.count, n_expert_per_token: experts.perToken }),
    vocab_size: vocabSize,
    params: parameterCount(config),
  };
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

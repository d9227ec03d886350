/**
 * Hook points under TransformerLens's names. A hook sees a value of the forward pass and may
 * return another in its place, which is how patching, ablation and steering are done.
 */
import type { tf } from "../engine/index.ts";
import { UsageError } from "../io/index.ts";
import type { ModelConfig } from "./config.ts";
import { familyOf, modelSizes } from "./families.ts";
import type { MlpPoint } from "./family.ts";

/** Called with the value at a hook: [B·T, width], or [B, H, T, T] for a pattern. A returned tensor replaces it. */
export type Hook = (value: tf.Tensor, name: string) => tf.Tensor | undefined;

/** Hooks by name. */
export type Hooks = Readonly<Record<string, Hook>>;

const aroundMlp = {
  before: ["hook_resid_pre", "attn.hook_pattern", "attn.hook_z", "hook_attn_out", "hook_resid_mid"],
  after: ["hook_mlp_out", "hook_resid_post"],
} as const;

/** A point in a block. */
export type BlockPoint =
  | (typeof aroundMlp)["before"][number]
  | (typeof aroundMlp)["after"][number]
  | MlpPoint;

/** The name of a hook in a block: `blocks.{layer}.{point}`. */
export function blockHook(layer: number, point: BlockPoint): string {
  return `blocks.${layer}.${point}`;
}

/**
 * Every hook the model has, in the order in which they are computed. Where attention and MLP run side by side
 * there is no `hook_resid_mid`.
 */
export function hookNames(config: ModelConfig): string[] {
  const names = ["hook_embed"];
  const family = familyOf(config);
  const isParallel = family.isParallel(config);
  const points = [
    ...aroundMlp.before.filter((point) => !(isParallel && point === "hook_resid_mid")),
    ...family.mlpPoints(config),
    ...aroundMlp.after,
  ];
  for (let layer = 0; layer < modelSizes(config).nLayer; layer++) {
    for (const point of points) names.push(blockHook(layer, point));
  }
  names.push("ln_final.hook_normalized");
  return names;
}

/** How many numbers a hook has per token. Errors: UsageError when the model has no such hook (or it isn't per token). */
export function hookWidth(config: ModelConfig, name: string): number {
  const { dModel, dMlp, nHead, headDim, nLayer, experts } = modelSizes(config);
  const names = hookNames(config).filter((known) => !known.endsWith("hook_pattern"));
  if (!names.includes(name)) {
    throw new UsageError({
      code: "unknown-hook",
      where: `hook ${name}`,
      expected: `a hook of this model with numbers per token (${nLayer} layers: blocks.0 to blocks.${nLayer - 1})`,
      got: name,
      hint: `Nearest: ${nearestHook(names, name)}.`,
    });
  }
  if (name.endsWith("attn.hook_z")) return nHead * headDim;
  if (experts && name.endsWith("mlp.hook_expert_weights")) return experts.count;
  return name.endsWith(".hook_post") ? dMlp : dModel;
}

/** The layer a block hook belongs to; −1 for the embedding and the number of layers for the final norm. */
export function hookLayer(config: ModelConfig, name: string): number {
  const match = /^blocks\.(\d+)\./.exec(name);
  if (match) return Number(match[1]);
  return name === "hook_embed" ? -1 : modelSizes(config).nLayer;
}

function nearestHook(names: readonly string[], wanted: string): string {
  const point = wanted.split(".").slice(2).join(".");
  const same = names.filter((name) => point !== "" && name.endsWith(`.${point}`));
  return (same.length > 0 ? same : names).slice(-1)[0];
}

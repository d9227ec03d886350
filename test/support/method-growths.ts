// Growths that each width method claims to be exact for, on every small model: indivisible widths and head counts where
// the method has them.
import type { ExpandOptions, WidthMethodName } from "../../src/expansion/index.ts";
import { gpt2Config, type ModelConfig, modelSizes } from "../../src/models/index.ts";
import { roughConfigs, roughVocabulary } from "./rough-models.ts";

/** The small models of every family, GPT-2 among them. */
export const everyFamily: Readonly<Record<string, ModelConfig>> = {
  gpt2: gpt2Config({
    vocab_size: roughVocabulary,
    n_positions: 20,
    n_embd: 30,
    n_head: 3,
    n_layer: 2,
    n_inner: 41,
    layer_norm_epsilon: 1e-3,
  }),
  ...roughConfigs,
};

/** Sizes at which `method` says that it is exact for a model. */
export function exactGrowths(
  method: WidthMethodName,
  config: ModelConfig,
): readonly Partial<ExpandOptions>[] {
  const { dModel, headDim, nHead, nKvHead, dMlp } = modelSizes(config);
  const isBound = config.model_type === "gpt2" || config.model_type === "gpt_neox";
  const group = nHead / nKvHead;
  const step = isBound ? headDim : config.model_type === "llama" ? 2 * nHead : 9;
  const heads = isBound ? {} : { heads: 2 * nHead };
  const triple = { width: 3 * dModel, mlp: 3 * dMlp, ...(isBound ? {} : { heads: 3 * nHead }) };
  const anyMlp = { mlp: dMlp + 13 };
  switch (method) {
    case "lemon":
      return [{ width: dModel + step, mlp: 50 }, { width: 2 * dModel + step }, triple];
    case "hypercloning":
      return [{ width: 2 * dModel, mlp: 2 * dMlp }, triple];
    case "gesmundo-maile":
      if (isBound) return [anyMlp];
      return [
        {
          width: dModel + step,
          mlp: dMlp + 5,
          heads: nHead + (config.model_type === "llama" ? 0 : group),
        },
        { width: 2 * dModel, ...heads },
      ];
    default:
      return [{ width: 2 * dModel, mlp: 2 * dMlp + 7, ...heads }, triple, anyMlp];
  }
}

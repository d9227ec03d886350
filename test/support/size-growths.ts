// Growths of sizes inside and beside the heads, each alone and all together, as far as a model's family has them.
import type { ExpandOptions } from "../../src/expansion/index.ts";
import { type ModelConfig, modelSizes } from "../../src/models/index.ts";

/** By what they grow. */
export function sizeGrowths(config: ModelConfig): Readonly<Record<string, Partial<ExpandOptions>>> {
  const { nHead, nKvHead, headDim, dMlp, vocabSize } = modelSizes(config);
  const vocab = { vocab: vocabSize + 7 };
  const together = { mlp: dMlp + 9, layers: 3, ...vocab };
  if (config.model_type === "gpt2" || config.model_type === "gpt_neox") {
    return {
      "head dimension": { headDim: headDim + 3 },
      "head dimension, doubled": { headDim: 2 * headDim },
      vocabulary: vocab,
      "all sizes": { headDim: headDim + 1, heads: nHead + 1, ...together },
    };
  }
  const width = oddWidth(config, 2 * nHead);
  return {
    ...(config.model_type === "qwen3" ? {} : { "head dimension": { headDim: headDim + 2 } }),
    "head dimension, doubled": { headDim: 2 * headDim },
    "head dimension, tripled": { headDim: 3 * headDim },
    ...(nKvHead < nHead ? { "key heads": { kvHeads: nHead } } : {}),
    "larger groups": { width, heads: 2 * nHead, kvHeads: nKvHead },
    vocabulary: vocab,
    "all sizes": {
      width,
      headDim: 2 * headDim,
      heads: 2 * nHead,
      kvHeads: 2 * nHead,
      ...together,
    },
  };
}

/** A width above the model's and no multiple of it; in a Llama a multiple of its `heads`, as transformers asks. */
export function oddWidth(config: ModelConfig, heads: number): number {
  const { dModel } = modelSizes(config);
  if (config.model_type !== "llama") return dModel + 9;
  const width = (Math.floor(dModel / heads) + 1) * heads;
  return width % dModel === 0 ? width + heads : width;
}

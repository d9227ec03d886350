/**
 * Mixtral (Jiang et al. 2024, arXiv 2401.04088): a Llama whose MLP is a router and several experts, each a SwiGLU MLP
 * (w1 the gate, w3 up, w2 down). The router's softmax over all experts gives each token its probabilities; the
 * largest `num_experts_per_tok` of them, divided by their sum, weigh those experts' outputs. An expert is run on its own
 * tokens only where the backend's numbers can be read at once, on all of them (with zero weights) elsewhere.
 */
import {
  combineRows,
  type ExpertRows,
  embedding,
  hasHostMemory,
  hostView,
  swiglu,
  tf,
  topKGates,
  topKMask,
} from "../engine/index.ts";
import {
  type Block,
  type Family,
  type MlpPoint,
  type MlpSteps,
  mlpFrom,
  type Param,
} from "./family.ts";
import {
  type BlockWeights,
  blockWeights,
  llamaAttention,
  llamaShared,
  sharedShapes,
  sharedSizes,
} from "./llama.ts";
import {
  type MixtralConfig,
  mixtralConfigJson,
  newMixtralConfig,
  parseMixtralConfig,
} from "./mixtral-config.ts";

/** Mixtral's attention has no biases and no norms of its own. */
const parts = { hasQkvBias: false, hasHeadNorms: false, hasOutputBias: false };

const expertName = (expert: number): string => `block_sparse_moe.experts.${expert}`;
const routerName = "block_sparse_moe.gate";

/** Every parameter's shape, in the order they are stored. */
function shapes(config: MixtralConfig): Map<string, readonly number[]> {
  const { hidden_size: d, intermediate_size: m, num_local_experts: n } = config;
  return sharedShapes(config, parts, (affine) => {
    affine(routerName, n, d, false);
    for (let expert = 0; expert < n; expert++) {
      affine(`${expertName(expert)}.w1`, m, d, false);
      affine(`${expertName(expert)}.w2`, d, m, false);
      affine(`${expertName(expert)}.w3`, m, d, false);
    }
  });
}

function expertPoints({ num_local_experts: n }: MixtralConfig): MlpPoint[] {
  return Array.from({ length: n }, (_, e) => `mlp.experts.${e}.hook_post` as const);
}

function* experts(
  x: tf.Tensor2D, // [n, d], normed
  { affine }: BlockWeights,
  config: MixtralConfig,
): MlpSteps {
  const computed = tf.softmax(affine(x, routerName)) as tf.Tensor2D;
  const given = yield { point: "mlp.hook_expert_weights", value: () => computed };
  const probabilities = given ?? computed;
  const { num_experts_per_tok: k } = config;
  const gates = topKGates(probabilities, k);
  const rows = rowsByExpert(gates);
  const outputs: tf.Tensor2D[] = [];
  for (const [expert, point] of expertPoints(config).entries()) {
    const own = rows[expert];
    const input = take(x, own);
    const name = expertName(expert);
    const neurons = swiglu(affine(input, `${name}.w1`), affine(input, `${name}.w3`));
    const replaced = yield {
      point,
      value: () => {
        const isUsed = tf.slice(topKMask(probabilities, k), [0, expert], [-1, 1]) as tf.Tensor2D;
        return combineRows([neurons], [own], isUsed);
      },
    };
    outputs.push(affine(replaced ? take(replaced, own) : neurons, `${name}.w2`));
  }
  return combineRows(outputs, rows, gates);
}

/** The rows of x that an expert works on. */
function take(x: tf.Tensor2D, rows: ExpertRows): tf.Tensor2D {
  return rows === null ? x : embedding(x, rows);
}

/**
 * The tokens that use each expert, of gates [n, N]. An expert that none uses gets the first, which gives it no weight,
 * so that its weights have a gradient (of zero) as well.
 */
function rowsByExpert(gates: tf.Tensor2D): ExpertRows[] {
  const [n, count] = gates.shape;
  const values = hasHostMemory() ? hostView(gates) : undefined;
  if (!values) return Array.from({ length: count }, () => null);
  return Array.from({ length: count }, (_, expert) => {
    const rows: number[] = [];
    for (let row = 0; row < n; row++) if (values[row * count + expert] !== 0) rows.push(row);
    return Int32Array.from(rows.length > 0 ? rows : [0]);
  });
}

function block(param: Param, config: MixtralConfig, layer: number): Block {
  const weights = blockWeights(param, config, layer);
  return {
    ...llamaAttention(weights, config, parts),
    mlp: (x) =>
      mlpFrom(weights.normed(x, "post_attention_layernorm"), (y) => experts(y, weights, config)),
  };
}

/** Mixtral. */
export const mixtral: Family<MixtralConfig> = {
  ...llamaShared<MixtralConfig>(),
  title: "Mixtral",
  modelTypes: ["mixtral"],
  parse: parseMixtralConfig,
  sized: (_, sizes, where) => newMixtralConfig(sizes, where),
  json: mixtralConfigJson,
  sizes: (config) => ({
    ...sharedSizes(config),
    experts: { count: config.num_local_experts, perToken: config.num_experts_per_tok },
  }),
  shapes,
  initial(name) {
    if (/norm\.weight$/.test(name)) return "one";
    return /\.(o_proj|w2)\.weight$/.test(name) ? "residual" : "normal";
  },
  mlpPoints: (config) => ["mlp.hook_in", "mlp.hook_expert_weights", ...expertPoints(config)],
  block,
};

// Mixtral: routing, hooks at the experts, what a patched router or expert does, the load-balancing loss, sizes and
// settings. Parity with transformers is in transformers-families.test.ts.
import { beforeAll, describe, expect, test } from "vitest";
import { createRng, tf, topKMask, useBackend, valueAndGrads } from "../../src/engine/index.ts";
import { UsageError } from "../../src/io/index.ts";
import { balanceLoss } from "../../src/models/balance-loss.ts";
import {
  activationsAt,
  createLmTrainer,
  forwardHidden,
  forwardLogits,
  heldOutLoss,
  lmTrainDefaults,
  mixtralConfigJson,
  modelSizes,
  parameterCount,
  parseConfig,
  parseMixtralConfig,
  placeModel,
  trainingFlopsPerToken,
} from "../../src/models/index.ts";
import { testBackend } from "../support/backend.ts";
import { roughConfigs, roughModel, roughVocabulary } from "../support/rough-models.ts";

const [batch, context] = [2, 7];
const rng = createRng("ids");
const ids = Int32Array.from({ length: batch * context }, () => rng.int(roughVocabulary));
const config = roughConfigs.mixtral;
const experts = 5;

beforeAll(async () => {
  await useBackend(testBackend);
});

async function read(tensor: tf.Tensor): Promise<Float32Array> {
  const values = (await tensor.data()).slice() as Float32Array;
  tensor.dispose();
  return values;
}

test("the MLP's output is the gated sum of its experts' neurons, each through its own w2", async () => {
  const host = roughModel(config, 1);
  const model = placeModel(host);
  const at = (point: string): Promise<Float32Array> =>
    read(activationsAt(model, ids, batch, `blocks.1.${point}`));
  const { dModel, dMlp } = modelSizes(config);
  const p = await at("mlp.hook_expert_weights");
  const wanted = new Float64Array(ids.length * dModel);
  for (let expert = 0; expert < experts; expert++) {
    const neurons = await at(`mlp.experts.${expert}.hook_post`);
    const w2 = host.weights.get(
      `model.layers.1.block_sparse_moe.experts.${expert}.w2.weight`,
    )!.data;
    for (let row = 0; row < ids.length; row++) {
      const own = p.subarray(row * experts, (row + 1) * experts);
      expect(own.reduce((a, b) => a + b)).toBeCloseTo(1, 5);
      const [first, second] = [...own].sort((a, b) => b - a);
      const isUsed = own[expert] >= second;
      const gate = isUsed ? own[expert] / (first + second) : 0;
      const values = neurons.subarray(row * dMlp, (row + 1) * dMlp);
      expect(values.some((x) => x !== 0)).toBe(isUsed);
      for (let i = 0; i < dModel; i++) {
        for (let j = 0; j < dMlp; j++) {
          wanted[row * dModel + i] += gate * (w2[i * dMlp + j] as number) * values[j];
        }
      }
    }
  }
  expect(await at("hook_mlp_out")).toBeAllclose(wanted, { rtol: 1e-4, atol: 1e-4 });
  model.dispose();
});

test("a patched router sends tokens elsewhere; a patched expert changes the tokens that use it", async () => {
  const model = placeModel(roughModel(config, 1));
  const run = (hooks: Parameters<typeof forwardLogits>[3]): Promise<Float32Array> =>
    read(tf.tidy(() => forwardLogits(model, ids, batch, hooks)));
  const to = (expert: number): (() => tf.Tensor) => {
    const row = Float32Array.from({ length: experts }, (_, e) =>
      e === expert ? 1 : 1e-9 * (e + 1),
    );
    return () => tf.tile(tf.tensor2d(row, [1, experts]), [ids.length, 1]);
  };
  const name = "blocks.1.mlp.hook_expert_weights";
  const seen: (readonly number[])[] = [];
  for (const expert of [0, 3]) {
    await run({
      hooks: {
        [name]: to(expert),
        [`blocks.1.mlp.experts.${expert}.hook_post`]: (value) => {
          const values = value.dataSync();
          const width = value.shape[1] as number;
          seen.push(Array.from({ length: ids.length }, (_, i) => values[i * width]));
          return undefined;
        },
      },
    });
  }
  for (const rows of seen) expect(rows.every((x) => x !== 0)).toBe(true);
  const plain = await run({});
  const point = "blocks.1.mlp.experts.2.hook_post";
  const neurons = await read(activationsAt(model, ids, batch, point));
  const same = await run({ hooks: { [point]: (value) => tf.clone(value) } });
  expect(same).toBeAllclose(plain, { rtol: 0, atol: 1e-5 });
  const silent = await run({ hooks: { [point]: (value) => tf.zerosLike(value) } });
  const { vocabSize, dMlp } = modelSizes(config);
  for (let row = 0; row < ids.length; row++) {
    const isUsed = neurons.subarray(row * dMlp, (row + 1) * dMlp).some((x) => x !== 0);
    const rowOf = (all: Float32Array) => all.subarray(row * vocabSize, (row + 1) * vocabSize);
    const change = Math.max(...rowOf(silent).map((x, i) => Math.abs(x - rowOf(plain)[i])));
    if (isUsed) expect(change).toBeGreaterThan(1e-4);
    else expect(change).toBeLessThan(1e-5);
  }
  model.dispose();
});

test("an expert that no token uses has gradients of zero, the chosen ones and the router have others", async () => {
  const host = roughModel(config, 1);
  const model = placeModel(host);
  const never = 4;
  const names = [...model.params.keys()].filter((name) => name.includes("layers.1.block_sparse"));
  const mask = tf.tensor2d(
    Float32Array.from({ length: experts }, (_, e) => (e === never ? 0 : 1)),
    [1, experts],
  );
  const { value, grads } = valueAndGrads(
    () => {
      const hooks = {
        "blocks.1.mlp.hook_expert_weights": (p: tf.Tensor) => tf.mul(p, mask),
      };
      return tf.sum(tf.square(forwardHidden(model, ids, batch, { hooks }))) as tf.Scalar;
    },
    names.map((name) => model.params.get(name) as tf.Tensor),
  );
  for (const [i, name] of names.entries()) {
    const largest = Math.max(...(await grads[i].data()).map(Math.abs));
    if (name.includes(`experts.${never}.`)) expect(largest, name).toBe(0);
    else expect(largest, name).toBeGreaterThan(1e-6);
  }
  tf.dispose([value, ...grads, mask]);
  model.dispose();
});

describe("the load-balancing loss", () => {
  test("by hand, and its gradient by finite differences with the choice held", async () => {
    const p = [tf.tensor2d([[0.7, 0.2, 0.1]]), tf.tensor2d([[0.3, 0.3001, 0.3999]])];
    // uses: 0, 1 and 1, 2; shares (.5, 1, .5), mean probabilities (.5, .25005, .24995)
    const byHand = 3 * (0.5 * 0.5 + 1 * 0.25005 + 0.5 * 0.24995);
    expect((await balanceLoss(p, 2).data())[0]).toBeCloseTo(byHand, 6);
    const [slope] = await Promise.all(
      tf
        .grads((...x) => balanceLoss(x as tf.Tensor2D[], 2))(p)
        .map((grad) => grad.data()),
    );
    expect(slope).toBeAllclose([0.75, 1.5, 0.75]);
  });

  test("even routing gives the number of experts that a token uses", async () => {
    const even = tf.fill([6, 4], 0.25) as tf.Tensor2D;
    expect((await balanceLoss([even], 2).data())[0]).toBeCloseTo(2, 6);
    expect((await tf.sum(topKMask(even, 2)).data())[0]).toBe(12);
  });

  test("training reports it, and lowers it where it counts", async () => {
    const balances: number[] = [];
    const batchOf = { ids, context };
    for (const router_aux_loss_coef of [0, 5]) {
      const start = roughModel({ ...config, router_aux_loss_coef } as typeof config, 2);
      const trainer = createLmTrainer(start, { ...lmTrainDefaults, steps: 30, lr: 0.003 });
      let last = 0;
      for (let step = 0; step < 30; step++) {
        const { balance, loss } = await trainer.step(batchOf);
        expect(Number.isFinite(loss)).toBe(true);
        last = balance as number;
      }
      balances.push(last);
      trainer.dispose();
    }
    expect(balances[1]).toBeLessThan(balances[0] - 0.05);
    expect(balances[1]).toBeLessThan(2.2);
  });
});

test("held-out loss is that of all tokens at once, whatever the batches", async () => {
  const model = placeModel(roughModel(config, 1));
  const one = await heldOutLoss(model, ids, context, { batchSequences: 1 });
  const two = await heldOutLoss(model, ids, context);
  expect(one.loss).toBeCloseTo(two.loss, 5);
  model.dispose();
});

describe("config.json", () => {
  const mixtral8x7b = {
    architectures: ["MixtralForCausalLM"],
    attention_dropout: 0.0,
    bos_token_id: 1,
    eos_token_id: 2,
    hidden_act: "silu",
    hidden_size: 4096,
    intermediate_size: 14336,
    max_position_embeddings: 32768,
    model_type: "mixtral",
    num_attention_heads: 32,
    num_experts_per_tok: 2,
    num_hidden_layers: 32,
    num_key_value_heads: 8,
    num_local_experts: 8,
    output_router_logits: false,
    rms_norm_eps: 1e-5,
    rope_theta: 1e6,
    router_aux_loss_coef: 0.02,
    sliding_window: null,
    tie_word_embeddings: false,
    vocab_size: 32000,
  };

  test("Mixtral 8x7B's has its 46.7 billion parameters, of which a token uses 12.9", () => {
    const found = parseConfig(mixtral8x7b, "x");
    expect(parameterCount(found)).toBe(46_702_792_704);
    expect(modelSizes(found).experts).toEqual({ count: 8, perToken: 2 });
    const active = trainingFlopsPerToken(found, 1) / 6;
    expect(active / 1e9).toBeGreaterThan(12.6); // 12.9 without the embedding's 0.13
    expect(active / 1e9).toBeLessThan(12.9);
  });

  test("is read again as it was written, also where the coefficient is a whole number", () => {
    for (const router_aux_loss_coef of [0.02, 1, 0]) {
      const given = parseMixtralConfig({ ...mixtral8x7b, router_aux_loss_coef }, "x");
      const json = mixtralConfigJson(given);
      // transformers 5 refuses an integer here
      expect(JSON.stringify(json.router_aux_loss_coef)).toMatch(/[.e]/);
      const { router_aux_loss_coef: back, ...rest } = parseMixtralConfig(json, "x");
      expect(back).toBeCloseTo(router_aux_loss_coef, 12);
      expect({ ...rest, router_aux_loss_coef }).toEqual(given);
    }
  });

  test.each([
    ["num_experts_per_tok", 9, "at most the 8 experts"],
    ["num_local_experts", 0, "a positive whole number"],
    ["router_jitter_noise", 0.1, "0 (all that this version runs)"],
    ["router_aux_loss_coef", -1, "a positive number"],
    ["sliding_window", 4096, "null, or at least the context of 32768 tokens"],
    ["num_key_value_heads", 5, "a divisor of the 32 heads"],
  ])("%s: %s is refused by name", (field, value, expected) => {
    const problem = (): unknown => parseConfig({ ...mixtral8x7b, [field]: value }, "x");
    expect(problem).toThrow(UsageError);
    try {
      problem();
    } catch (error) {
      expect((error as UsageError).where).toBe(`x: ${field}`);
      expect((error as UsageError).expected).toContain(expected);
    }
  });
});

// Moments through growth: by hand, against the true gradients of the child in f64, and against the moments that the
// child gathers itself over the same batches, in every family.
import { beforeAll, describe, expect, test } from "vitest";
import { createRng, useBackend } from "../../../src/engine/index.ts";
import {
  type ExpandOptions,
  expandModel,
  growMoments,
  planExpansion,
} from "../../../src/expansion/index.ts";
import { FRESH, gradientShares, MEAN } from "../../../src/expansion/plan/axis-map.ts";
import type { ParameterPlan } from "../../../src/expansion/plan/growth-plan.ts";
import type { HostTensor } from "../../../src/io/index.ts";
import {
  createLmTrainer,
  gpt2Config,
  type HostModel,
  lmTrainDefaults,
  type ModelConfig,
  modelSizes,
  parameterShapes,
} from "../../../src/models/index.ts";
import { testBackend } from "../../support/backend.ts";
import { runF64 } from "../../support/gpt2-f64.ts";
import { executePlanF64, randomModel } from "../../support/growth-f64.ts";
import { roughConfigs, roughModel, roughVocabulary } from "../../support/rough-models.ts";

beforeAll(async () => {
  await useBackend(testBackend);
});

const exact: ExpandOptions = {
  method: "lemon",
  depth_method: "identity",
  positions: "bottom",
  noise_db: null,
};

test("an entry's share of its parent's gradient: equal for copies, whole for repeated inputs, none without a parent", () => {
  const source = Int32Array.of(0, 1, 0, MEAN, FRESH);
  expect([...gradientShares({ source, weight: null })]).toEqual([0.5, 1, 0.5, 0, 0]);
  const weight = Float64Array.of(0.25, 1, 0.75, 1, 1);
  expect([...gradientShares({ source, weight })]).toEqual([1, 1, 1, 0, 0]);
  const share = Float64Array.of(0.3, 1, 0.7, 0, 0);
  expect([...gradientShares({ source, weight: null, share })]).toEqual([0.3, 1, 0.7, 0, 0]);
});

describe("a matrix of 2 × 2 grown to 3 × 4, by hand", () => {
  const config = gpt2Config({ vocab_size: 2, n_positions: 2, n_embd: 2, n_layer: 1, n_head: 1 });
  const name = "transformer.wte.weight"; // [2, 2]
  const parameter: ParameterPlan = {
    name: "grown",
    from: name,
    shape: [3, 4],
    axes: [
      { source: Int32Array.of(0, 1, 0), weight: Float64Array.of(0.25, 1, 0.75) },
      {
        source: Int32Array.of(0, 1, 1, FRESH),
        weight: null,
        share: Float64Array.of(1, 0.25, 0.75, 0),
      },
    ],
    scale: 2,
    fill: 0,
    noise: null,
  };
  const state = {
    step: 7,
    m: new Map([[name, Float32Array.of(8, 16, -24, 32)]]),
    v: new Map([[name, Float32Array.of(1, 4, 9, 16)]]),
  };
  const growth = { plan: { config, parameters: [parameter] }, fresh: [] };

  test("carry: times 1/scale and the shares, second moments times their squares", () => {
    const { step, m, v } = growMoments(growth, config, state, "carry");
    expect(step).toBe(7);
    expect([...m.get("grown")!]).toEqual([4, 2, 6, 0, -12, 4, 12, 0, 4, 2, 6, 0]);
    const [top, bottom] = [
      [0.25, 0.0625, 0.5625, 0],
      [2.25, 0.25, 2.25, 0],
    ];
    expect([...v.get("grown")!]).toEqual([...top, ...bottom, ...top]);
  });

  test("asymmetric: the first copies keep theirs, the others begin with zeros", () => {
    const { step, m, v } = growMoments(growth, config, state, "asymmetric");
    expect(step).toBe(7);
    expect([...m.get("grown")!]).toEqual([4, 2, 0, 0, -12, 4, 0, 0, 0, 0, 0, 0]);
    expect([...v.get("grown")!]).toEqual([0.25, 0.0625, 0, 0, 2.25, 0.25, 0, 0, 0, 0, 0, 0]);
  });

  test("what is inserted, constant or was frozen in the parent begins with zeros", () => {
    const of = (change: Partial<ParameterPlan>, fresh: string[], from = state) => {
      const parameters = [{ ...parameter, ...change }];
      return growMoments({ plan: { config, parameters }, fresh }, config, from, "carry").m;
    };
    const zeros = new Array<number>(12).fill(0);
    expect([...of({}, ["grown"]).get("grown")!]).toEqual(zeros);
    expect([...of({ from: null, axes: [] }, []).get("grown")!]).toEqual(zeros);
    expect([...of({}, [], { step: 7, m: new Map(), v: new Map() }).get("grown")!]).toEqual(zeros);
  });
});

test("in f64, the child's gradient is the parent's times the factors, in every inherited entry", () => {
  const config = gpt2Config({
    vocab_size: 5,
    n_positions: 4,
    n_embd: 4,
    n_layer: 1,
    n_head: 2,
    n_inner: 5,
    layer_norm_epsilon: 1e-2,
  });
  const options = { ...exact, width: 8, mlp: 13, layers: 2 };
  const { growth } = planExpansion(config, options, createRng("f64"));
  const parent = randomModel(config, "f64");
  const child = executePlanF64(growth.plan, parent, createRng("f64"));
  const small = gradientF64(parent);
  const big = gradientF64(child);
  const mapped = growMoments(growth, config, { step: 1, m: small, v: small }, "carry").m;
  const fresh = new Set(growth.fresh);
  for (const [name, gradient] of big) {
    if (fresh.has(name)) continue;
    // 1e-7 is f32's rounding of the moments; differences in f64 are good to 1e-9
    expect(mapped.get(name), name).toBeAllclose(gradient, { rtol: 2e-7, atol: 1e-7 });
  }
});

/** Slopes of the loss over two sequences by central differences, one entry at a time. */
function gradientF64(model: HostModel): Map<string, Float32Array> {
  const weights = new Map<string, HostTensor>();
  for (const [name, { shape, data }] of model.weights) {
    weights.set(name, { shape, data: Float64Array.from(data as Float32Array) });
  }
  const sequences = [
    [0, 3, 1, 4],
    [2, 2, 0, 1],
  ];
  const loss = (): number => {
    let total = 0;
    for (const ids of sequences) {
      const { logits } = runF64({ config: model.config, weights }, ids);
      for (let t = 0; t + 1 < ids.length; t++) {
        const row = logits.subarray(t * 5, (t + 1) * 5);
        let sum = 0;
        for (const logit of row) sum += Math.exp(logit);
        total += Math.log(sum) - row[ids[t + 1]];
      }
    }
    return total;
  };
  const step = 1e-5;
  const slopes = new Map<string, Float32Array>();
  for (const [name, { data }] of weights) {
    const values = data as Float64Array;
    const slope = new Float32Array(values.length);
    for (let i = 0; i < values.length; i++) {
      const before = values[i];
      values[i] = before + step;
      const above = loss();
      values[i] = before - step;
      slope[i] = (above - loss()) / (2 * step);
      values[i] = before;
    }
    slopes.set(name, slope);
  }
  return slopes;
}

/** Growths that keep gradients in proportion: whole copies, and for RMSNorm also odd widths, whose free part adds nothing. */
function growths(config: ModelConfig): Partial<ExpandOptions>[] {
  const { dModel, nHead, headDim, dMlp } = modelSizes(config);
  // inserted blocks' routers would have a part in the loss that balances experts
  const layers = config.model_type === "mixtral" ? {} : { layers: 3 };
  const double = { width: 2 * dModel, mlp: 2 * dMlp + 3, ...layers };
  if (config.model_type === "gpt_neox" || config.model_type === "gpt2") return [double];
  const odd = dModel + (config.model_type === "llama" ? 2 * nHead : 9);
  return [
    { ...double, heads: 2 * nHead },
    { width: odd, mlp: dMlp + 7 },
    // where queries and keys are normed over the head, its longer norm mixes new numbers in
    ...(config.model_type === "qwen3" ? [] : [{ headDim: 2 * headDim, mlp: dMlp + 1 }]),
  ];
}

const gpt2 = gpt2Config({
  vocab_size: roughVocabulary,
  n_positions: 20,
  n_embd: 12,
  n_layer: 2,
  n_head: 3,
});

describe.each(Object.entries({ gpt2, ...roughConfigs }))("%s", (name, config) => {
  test("carried moments are those that the child gathers itself over the same batches", async () => {
    const parent = roughModel(config, name);
    const before = await gathered(parent);
    for (const growth of growths(config)) {
      const options = { ...exact, ...growth };
      const { child } = await expandModel(parent, options, createRng(name));
      const planned = planExpansion(config, options, createRng(name)).growth;
      const own = await gathered(child);
      const carried = growMoments(planned, config, before, "carry");
      expect(carried.step).toBe(own.step);
      expect([...carried.m.keys()]).toEqual([...parameterShapes(child.config).keys()]);
      for (const which of ["m", "v"] as const) {
        const largest = Math.max(...[...own[which].values()].map(largestOf));
        for (const { name, axes } of planned.plan.parameters) {
          if (planned.fresh.includes(name)) continue;
          const [a, b] = [carried[which].get(name)!, own[which].get(name)!];
          const columns = axes.at(-1)!.source;
          const rows = axes.length === 1 ? Int32Array.of(0) : axes[0].source;
          // sums that cancel, as a key bias's, hold only rounding
          const allowed = 2e-4 * Math.max(largestOf(b), 1e-3 * largest);
          for (let i = 0; i < a.length; i++) {
            const isFresh =
              rows[Math.floor(i / columns.length)] < 0 || columns[i % columns.length] < 0;
            if (isFresh) expect(a[i]).toBe(0);
            else if (Math.abs(a[i] - b[i]) > allowed)
              expect.fail(`${JSON.stringify(growth)} ${which}/${name}[${i}]: ${a[i]}, not ${b[i]}`);
          }
        }
      }
    }
  });
});

/** Moments after three batches that move nothing: the rate is 0, and no gradient is clipped. */
async function gathered(model: HostModel) {
  const options = { ...lmTrainDefaults, steps: 3, lr: 0, weightDecay: 0, clip: 1e9 };
  const trainer = createLmTrainer(model, options);
  const rng = createRng("batches");
  for (let i = 0; i < 3; i++) {
    const ids = Int32Array.from({ length: 4 * 9 }, () => rng.int(roughVocabulary));
    await trainer.step({ ids, context: 9 });
  }
  const { optimizer } = await trainer.state();
  trainer.dispose();
  return optimizer;
}

function largestOf(values: Float32Array): number {
  return values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
}

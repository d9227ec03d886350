// LiGO's construction: by hand, against the definition in f64 for every family, and its gradient against differences.
import { beforeAll, describe, expect, test } from "vitest";
import { createRng, tf, useBackend, valueAndGrads } from "../../../src/engine/index.ts";
import { construct, placePieces } from "../../../src/expansion/ligo/construct.ts";
import {
  type GrowthFrame,
  growthFrame,
  type WidthAxis,
} from "../../../src/expansion/ligo/growth-frame.ts";
import { materialise } from "../../../src/expansion/ligo/learn-operators.ts";
import { initialOperators, operatorShapes } from "../../../src/expansion/ligo/operators.ts";
import { stackedMap } from "../../../src/expansion/ligo/residual-map.ts";
import {
  gpt2Config,
  type HostModel,
  type ModelConfig,
  modelSizes,
  parameterShapes,
  resizedConfig,
} from "../../../src/models/index.ts";
import { testBackend } from "../../support/backend.ts";
import { constructF64, operatorValues } from "../../support/ligo-f64.ts";
import { roughConfigs, roughModel, roughVocabulary } from "../../support/rough-models.ts";

beforeAll(async () => {
  await useBackend(testBackend);
});

const configs: Readonly<Record<string, ModelConfig>> = {
  gpt2: gpt2Config({
    vocab_size: roughVocabulary,
    n_positions: 20,
    n_embd: 15,
    n_head: 3,
    n_layer: 2,
    n_inner: 17,
  }),
  ...roughConfigs,
};

/** A child with odd sizes: half as many groups of heads more, and three layers. */
function childOf(config: ModelConfig): ModelConfig {
  const parent = modelSizes(config);
  const { nHead, nKvHead, headDim, dModel, dMlp } = parent;
  const isBound = config.model_type === "gpt2" || config.model_type === "gpt_neox";
  const groups = nKvHead + Math.ceil(nKvHead / 2);
  const heads = (groups * nHead) / nKvHead;
  const width = isBound ? heads * headDim : dModel + heads;
  return resizedConfig(config, {
    ...parent,
    dModel: width,
    nHead: heads,
    nKvHead: groups,
    nLayer: 3,
    dMlp: dMlp + 5,
  });
}

/** Operators far from their start, so that no entry hides behind a zero. */
function roughOperators(frame: GrowthFrame, nLayer: number) {
  const operators = new Map(initialOperators(frame, nLayer, createRng("operators")));
  for (const [name, { shape, data }] of operators) {
    const noise = createRng(name);
    const values = Float32Array.from(data as Float32Array, (x) => x + 0.3 * noise.normal());
    operators.set(name, { shape, data: values });
  }
  return operators;
}

describe("by hand", () => {
  const kept = (n: number): WidthAxis => ({ operator: null, nParent: n, nChild: n, size: 1 });
  const made = async (
    parameter: GrowthFrame["parameters"][number],
    weights: Record<string, { shape: number[]; data: number[] }>,
    operators: Record<string, { shape: number[]; data: number[] }>,
  ): Promise<number[]> => {
    const frame = { parameters: [parameter], residual: kept(2), layers: [] };
    const parent = {
      config: gpt2Config({ vocab_size: 2, n_positions: 2, n_embd: 2, n_head: 1, n_layer: 2 }),
      weights: new Map(
        Object.entries(weights).map(([name, { shape, data }]) => [
          name,
          { shape, data: Float32Array.from(data) },
        ]),
      ),
    };
    const pieces = placePieces(frame, parent as HostModel);
    const built = tf.tidy(() => {
      const placed = Object.entries(operators).map(
        ([name, { shape, data }]) => [name, tf.tensor(data, shape)] as const,
      );
      return construct(frame, pieces, new Map(placed)).get(parameter.name) as tf.Tensor;
    });
    pieces.dispose();
    const values = [...(await built.data())];
    built.dispose();
    return values;
  };

  test("one matrix: layers mixed 3 to −1, a row and a column more", async () => {
    // W = 3·[[1, 2], [0, 1]] − [[1, 0], [2, 1]] = [[2, 6], [−2, 2]]
    // rows: + (.5, .25)·W = [.5, 3.5]; columns: + W·(1, −1) = −4, −4 and −3
    const axis = (operator: string): WidthAxis => ({ operator, nParent: 2, nChild: 3, size: 1 });
    const piece = { name: "w", part: { index: 0, of: 1, groups: 1 }, mix: "mix" };
    expect(
      await made(
        {
          name: "w",
          shape: [3, 3],
          groups: 1,
          pieces: [{ ...piece, axes: [axis("M"), axis("A")] }],
        },
        {
          "transformer.h.0.w": { shape: [2, 2], data: [1, 2, 0, 1] },
          "transformer.h.1.w": { shape: [2, 2], data: [1, 0, 2, 1] },
        },
        {
          mix: { shape: [1, 2], data: [3, -1] },
          M: { shape: [1, 2], data: [0.5, 0.25] },
          A: { shape: [1, 2], data: [1, -1] },
        },
      ),
    ).toEqual([2, 6, -4, -2, 2, -4, 0.5, 3.5, -3]);
  });

  test("units of two entries stay together, and two fused parts lie head by head", async () => {
    // two heads of two numbers and parts a, b: a = [1 2 | 3 4], b = [5 6 | 7 8]
    // a gains the head 1·[1 2] + 1·[3 4] = [4 6], b the head 2·[5 6] − [7 8] = [3 4]
    const axis = (operator: string): WidthAxis => ({ operator, nParent: 2, nChild: 3, size: 2 });
    const piece = (index: number, operator: string) => ({
      name: "b",
      part: { index, of: 2, groups: 2 },
      mix: null,
      axes: [kept(1), axis(operator)] as const,
    });
    expect(
      await made(
        { name: "b", shape: [12], groups: 3, pieces: [piece(0, "A"), piece(1, "B")] },
        { b: { shape: [8], data: [1, 2, 5, 6, 3, 4, 7, 8] } },
        { A: { shape: [1, 2], data: [1, 1] }, B: { shape: [1, 2], data: [2, -1] } },
      ),
    ).toEqual([1, 2, 5, 6, 3, 4, 7, 8, 4, 6, 3, 4]);
  });
});

describe.each(Object.entries(configs))("%s", (name, config) => {
  const parent = roughModel(config, name);
  const child = childOf(config);
  const frame = growthFrame(config, child);
  const operators = roughOperators(frame, 2);

  test("every parameter is B (Σ w W) Aᵀ, as f64 has it", async () => {
    const pieces = placePieces(frame, parent);
    const grown = await materialise(child, frame, pieces, operators);
    pieces.dispose();
    const want = constructF64(parent, child, operatorValues(operators));
    expect([...grown.weights.keys()].sort()).toEqual([...parameterShapes(child).keys()].sort());
    for (const [key, { shape, data }] of grown.weights) {
      expect(shape, key).toEqual(parameterShapes(child).get(key));
      expect(data as Float32Array, key).toBeAllclose(want.get(key)!, { rtol: 1e-5, atol: 1e-5 });
    }
  });
});

test.each(["gpt2", "neox", "llama", "qwen3 tied, with biases"])(
  "%s: the gradient is what differences of the f64 construction say",
  async (name) => {
    const config = configs[name];
    const parent = roughModel(config, name);
    const child = childOf(config);
    const frame = growthFrame(config, child);
    const operators = roughOperators(frame, 2);
    // the construction is linear in each single entry, so the difference quotient is exact at any step
    const weightOf = (key: string, i: number) => Math.sin(i * 0.7 + key.length);
    const pieces = placePieces(frame, parent);
    const placed = new Map(
      [...operators].map(([key, { shape, data }]) => [
        key,
        tf.tensor(data as Float32Array, [...shape]),
      ]),
    );
    const { value, grads } = valueAndGrads(() => {
      let total: tf.Scalar = tf.scalar(0);
      for (const [key, tensor] of construct(frame, pieces, placed)) {
        const weights = Float32Array.from({ length: tensor.size }, (_, i) => weightOf(key, i));
        total = tf.add(total, tf.sum(tf.mul(tensor, tf.tensor(weights, tensor.shape))));
      }
      return total;
    }, [...placed.values()]);
    const total = (values: ReturnType<typeof operatorValues>): number => {
      let sum = 0;
      for (const [key, data] of constructF64(parent, child, values)) {
        for (let i = 0; i < data.length; i++) sum += weightOf(key, i) * data[i];
      }
      return sum;
    };
    const values = operatorValues(operators);
    const start = total(values);
    const names = [...operators.keys()];
    const kinds = new Map(names.map((key) => [key.replace(/\d+/, "l"), key])); // the last layer's of each kind
    for (const key of kinds.values()) {
      const numbers = values.get(key)!;
      const at = createRng(key).int(numbers.length);
      const slope = await grads[names.indexOf(key)].data();
      const was = numbers[at];
      numbers[at] += 1;
      const difference = total(values) - start;
      numbers[at] = was;
      expect([slope[at]], key).toBeAllclose([difference], { rtol: 2e-4, atol: 2e-4 });
    }
    tf.dispose([value, ...grads, ...placed.values()]);
    pieces.dispose();
  },
);

test("nothing is left on the engine", async () => {
  const { config, weights } = roughModel(configs.llama, 1);
  const frame = growthFrame(config, childOf(config));
  const before = tf.memory().numTensors;
  const pieces = placePieces(frame, { config, weights });
  await materialise(childOf(config), frame, pieces, roughOperators(frame, 2));
  pieces.dispose();
  expect(tf.memory().numTensors).toBe(before);
});

describe("the operators before learning", () => {
  const { gpt2: config } = configs;
  const frame = growthFrame(config, childOf(config));
  const operators = initialOperators(frame, 2, createRng(1));

  test("are those that the sizes ask for, the same for the same seed", () => {
    const shapes = operatorShapes(frame, 2);
    // 15 → 25 wide (5 heads of 5), 17 → 22 neurons; q, k, v single dimensions, as GPT-2's are free
    expect(shapes.get("width:residual")).toEqual([10, 15]);
    expect(shapes.get("width:2:values")).toEqual([10, 15]);
    expect(shapes.get("width:2:neurons")).toEqual([5, 17]);
    expect(shapes.get("depth:2:attn.c_attn.weight:keys")).toEqual([1, 2]);
    expect(initialOperators(frame, 2, createRng(1))).toEqual(operators);
    expect(initialOperators(frame, 2, createRng(2))).not.toEqual(operators);
    const llama = growthFrame(configs.llama, childOf(configs.llama));
    expect(operatorShapes(llama, 2).get("width:0:queries")).toEqual([2, 4]); // whole heads
    expect(operatorShapes(llama, 2).get("width:0:values")).toEqual([1, 2]);
  });

  test("average the parent's units and stack its layers", () => {
    for (const [name, { shape, data }] of operators) {
      const values = data as Float32Array;
      for (let row = 0; row < shape[0]; row++) {
        const line = values.subarray(row * shape[1], (row + 1) * shape[1]);
        expect(line.reduce((a, b) => a + b)).toBeCloseTo(1, 5);
        expect(Math.min(...line)).toBeGreaterThanOrEqual(0);
      }
      const layer = /^depth:(\d)/.exec(name)?.[1];
      if (layer !== undefined) expect(values[Number(layer) % 2]).toBeGreaterThan(0.97);
    }
  });
});

describe("the residual stream's map", () => {
  test("R is the inverse by hand", () => {
    // E = [1; 2]: EᵀE = 5, R = [.2, .4]
    const { E, R, D } = stackedMap([2], 1);
    expect([...E]).toEqual([1, 2]);
    expect(D).toBe(2);
    expect(R).toBeAllclose([0.2, 0.4], { rtol: 1e-12 });
  });

  test("R E = I and E R is symmetric, the Moore–Penrose inverse of a map of full rank", () => {
    const rng = createRng(5);
    const [d, D] = [7, 12];
    const map = stackedMap(
      Float32Array.from({ length: (D - d) * d }, () => rng.normal()),
      d,
    );
    const product = (
      a: Float64Array,
      b: Float64Array,
      [rows, inner, columns]: readonly [number, number, number],
    ) =>
      Float64Array.from({ length: rows * columns }, (_, i) => {
        let sum = 0;
        for (let k = 0; k < inner; k++) {
          sum += a[Math.floor(i / columns) * inner + k] * b[k * columns + (i % columns)];
        }
        return sum;
      });
    const identity = Float64Array.from({ length: d * d }, (_, i) => Number(i % (d + 1) === 0));
    expect(product(map.R, map.E, [d, D, d])).toBeAllclose(identity, { rtol: 0, atol: 1e-12 });
    const onto = product(map.E, map.R, [D, d, D]);
    const turned = Float64Array.from(onto, (_, i) => onto[(i % D) * D + Math.floor(i / D)]);
    expect(onto).toBeAllclose(turned, { rtol: 0, atol: 1e-12 });
  });
});

test("other heads than the parent's are refused", () => {
  const { llama } = roughConfigs;
  const sizes = modelSizes(llama);
  const child = resizedConfig(llama, { ...sizes, nKvHead: 4 });
  expect(() => growthFrame(llama, child)).toThrow(
    expect.objectContaining({ code: "growth-unsupported", where: "--kv-heads" }),
  );
});

// Children of the depth methods as models: what is exact is exact in every family, what is not says so and still is on
// its prefix, and cancelling blocks have a gradient everywhere.
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import {
  createRng,
  crossEntropy,
  tf,
  useBackend,
  valueAndGrads,
} from "../../../src/engine/index.ts";
import {
  type ExpandOptions,
  executePlan,
  expandModel,
  hookEntry,
  measureExactness,
  planExpansion,
} from "../../../src/expansion/index.ts";
import { UsageError, writeSafetensors } from "../../../src/io/index.ts";
import {
  activationsAt,
  forwardHidden,
  gpt2Config,
  type HostModel,
  type ModelConfig,
  modelSizes,
  placeModel,
  saveModel,
  shift,
  unembedding,
} from "../../../src/models/index.ts";
import { testBackend } from "../../support/backend.ts";
import { temporaryFolder } from "../../support/folder.ts";
import { runF64 } from "../../support/gpt2-f64.ts";
import { executePlanF64, randomModel } from "../../support/growth-f64.ts";
import { python } from "../../support/python.ts";
import { roughConfigs, roughModel, roughVocabulary } from "../../support/rough-models.ts";

const at = temporaryFolder();
const defaults: ExpandOptions = {
  method: "lemon",
  depth_method: "identity",
  positions: "interleaved",
  noise_db: 10,
};
const gpt2 = gpt2Config({
  vocab_size: 29,
  n_positions: 12,
  n_embd: 10,
  n_head: 2,
  n_layer: 3,
  n_inner: 13,
  layer_norm_epsilon: 1e-2,
});
const ids = Int32Array.from({ length: 4 * 12 }, (_, i) => (i * i) % 29);

/** Growth in which all heads and all neurons get copies, as cancelling needs, with odd sizes. */
function copying(config: ModelConfig): Partial<ExpandOptions> {
  const { dModel, dMlp, headDim, nHead } = modelSizes(config);
  const bound = config.model_type === "gpt_neox";
  const sizes = bound ? { width: 2 * dModel + headDim } : { width: 2 * dModel, heads: 2 * nHead };
  return { depth_method: "cancel", layers: 4, mlp: 2 * dMlp + 3, ...sizes };
}

beforeAll(async () => {
  await useBackend(testBackend);
});

describe("cancelling blocks", () => {
  test.each([
    { width: 20, mlp: 26, layers: 5 },
    { width: 25, mlp: 31, layers: 4, positions: [-1] },
    { width: 15, mlp: 14, layers: 5, positions: "top" as const, noise_db: null },
  ])("keep logits and every hook to 1e-10 in f64: %o", (growth) => {
    const parent = randomModel(gpt2, 1);
    const wanted = { ...defaults, depth_method: "cancel" as const, ...growth };
    const { growth: grown, map } = planExpansion(gpt2, wanted, createRng(2));
    const child = executePlanF64(grown.plan, parent, createRng(3));
    const [small, big] = [runF64(parent, ids.subarray(0, 12)), runF64(child, ids.subarray(0, 12))];
    expect(big.logits).toBeAllclose(small.logits, { rtol: 0, atol: 1e-10 });
    expect(map.exact).toBe(true);
    expect(map.method).toBe("lemon+cancel");
    const inserted = growth.positions?.[0] === -1 ? 0 : map.fresh[0].split(".")[2];
    const resid = (point: string) => big.hooks.get(`blocks.${inserted}.${point}`)!;
    expect(resid("hook_resid_post")).toBeAllclose(resid("hook_resid_pre"), { atol: 1e-10 });
  });

  test("have random output weights that sum to zero over the copies, and none without a copy", () => {
    const wanted = { ...defaults, depth_method: "cancel" as const, width: 15, mlp: 28, layers: 4 };
    const { growth } = planExpansion(gpt2, wanted, createRng(2));
    const child = executePlanF64(growth.plan, randomModel(gpt2, 1), createRng(3));
    const out = child.weights.get("transformer.h.3.mlp.c_proj.weight")!.data as Float64Array;
    const row = (neuron: number) => out.subarray(neuron * 15, (neuron + 1) * 15);
    // 13 neurons become 28: 0 has 0, 13 and 26; 5 has 5 and 18
    for (const copies of [
      [0, 13, 26],
      [5, 18],
    ]) {
      for (let j = 0; j < 15; j++) {
        expect(copies.reduce((sum, neuron) => sum + row(neuron)[j], 0)).toBeCloseTo(0, 14);
      }
      expect(Math.hypot(...row(copies[0]))).toBeGreaterThan(0.1);
    }
    // 2 heads of 5 become 3: the second has no copy
    const heads = child.weights.get("transformer.h.3.attn.c_proj.weight")!.data as Float64Array;
    const norm = (head: number) => Math.hypot(...heads.subarray(head * 75, (head + 1) * 75));
    expect([norm(1), child.weights.get("transformer.h.3.attn.c_proj.bias")!.data[0]]).toEqual([
      0, 0,
    ]);
    expect(norm(0)).toBeGreaterThan(0.1);
    expect(norm(2)).toBeGreaterThan(0.1);
  });

  test("give every parameter of the block a gradient where every unit has a copy; zero outputs don't", async () => {
    const parent = randomModel(gpt2, 1);
    const silent = async (depth_method: "identity" | "cancel"): Promise<string[]> => {
      const growth = { depth_method, width: 20, mlp: 26, layers: 4 };
      const { child, map } = await expandModel(parent, { ...defaults, ...growth }, createRng(5));
      return withoutGradient(child, map.fresh);
    };
    expect(await silent("cancel")).toEqual([]);
    expect((await silent("identity")).length).toBeGreaterThan(5);
  });

  test.each([
    [{ mlp: 26 }, "heads"],
    [{ width: 20, mlp: 13 }, "neurons"],
    [{}, "heads"],
  ])("are refused without copies: %o", (growth, missing) => {
    const wanted = { ...defaults, depth_method: "cancel" as const, layers: 4, ...growth };
    let problem: unknown;
    try {
      planExpansion(gpt2, wanted, createRng(1));
    } catch (error) {
      problem = error;
    }
    expect(problem).toBeInstanceOf(UsageError);
    expect((problem as UsageError).message).toContain(`copies of ${missing}`);
  });
});

const script = `
import sys, json, torch
from transformers import AutoModelForCausalLM
ids = torch.arange(60).reshape(4, 15) ** 2 % 61
def in_f64(norm):  # transformers' own goes through f32
    return lambda x: norm.weight * x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + norm.variance_epsilon)
def logits(folder):
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float64)
    for part in model.modules():
        if type(part).__name__.endswith("RMSNorm"):
            part.forward = in_f64(part)
    with torch.no_grad():
        return model(ids).logits
print(json.dumps([(logits(child) - logits(parent)).abs().max().item() for parent, child in json.loads(sys.argv[1])]))
`;

python.test(
  "identity and cancelling blocks keep logits to 1e-10 in f64, says transformers, biases and parallel blocks included",
  async (run) => {
    const pairs: [string, string][] = [];
    const names = [
      "neox",
      "neox one after the other, no attention biases, tanh GELU",
      "llama with biases, one key head, Llama 3.1's frequencies",
      "qwen3 tied, with biases",
    ];
    for (const [i, name] of names.entries()) {
      const config = roughConfigs[name];
      const parent = roughModel(config, name);
      saveModel(at(`${i}`), parent);
      const deeper = { layers: 5, positions: [-1, 0, 1] };
      for (const [j, growth] of [deeper, copying(config)].entries()) {
        const { growth: grown } = planExpansion(config, { ...defaults, ...growth }, createRng(i));
        const child = executePlanF64(grown.plan, parent, createRng(j));
        const folder = at(`${i}-${j}`);
        saveModel(folder, await executePlan(grown.plan, parent, createRng(j)));
        writeSafetensors(join(folder, "model.safetensors"), child.weights, { format: "pt" });
        pairs.push([at(`${i}`), folder]);
      }
    }
    const worst = JSON.parse(await run(script, [JSON.stringify(pairs)])) as number[];
    expect(worst).toHaveLength(2 * names.length);
    for (const [i, difference] of worst.entries()) {
      expect(difference, pairs[i].join()).toBeLessThanOrEqual(1e-10);
    }
  },
);

describe.each([
  ["gpt2", gpt2 as ModelConfig],
  ["neox", { ...roughConfigs.neox, num_hidden_layers: 3 } as ModelConfig],
  ["llama", { ...roughConfigs.llama, num_hidden_layers: 3 } as ModelConfig],
])("stack and solar in %s", (name, config) => {
  const tokens = Int32Array.from(ids, (id) => id % roughVocabulary);
  const parent = name === "gpt2" ? randomModel(gpt2, 4) : roughModel(config, name);

  test.each([
    ["stack", 6],
    ["stack", 7],
    ["solar", 4],
  ] as ["stack" | "solar", number][])("%s to %i layers", async (depth_method, layers) => {
    const growth = { depth_method, layers };
    const { child, map } = await expandModel(parent, { ...defaults, ...growth }, createRng(5));
    expect(map).toMatchObject({ exact: false, method: depth_method, fresh: [] });
    const exactHooks = map.hooks.filter(({ exact }) => exact);
    expect(exactHooks.length).toBeGreaterThan(6);
    const [small, big] = [placeModel(parent), placeModel(child)];
    for (const { from, to, tensor } of exactHooks) {
      expect(tensor).toBe("identity");
      const [a, b] = [small, big].map((model, i) =>
        tf.tidy(() => activationsAt(model, tokens, 4, i === 0 ? from : to[0]).dataSync()),
      );
      expect(b, from).toEqual(a); // the same numbers went through the same operations
    }
    const { max_abs_dlogit } = await measureExactness(small, big, map, tokens, 4);
    small.dispose();
    big.dispose();
    expect(max_abs_dlogit).toBeGreaterThan(0.01);
  });
});

test.each([
  ["neox", { width: 70, mlp: 50 }],
  ["llama", { width: 64, heads: 8, mlp: 83 }],
  ["qwen3", { width: 42, heads: 8, mlp: 50 }],
] as [string, Partial<ExpandOptions>][])(
  "%s: width, heads, neurons and a stack in one step keep E on the first copy",
  async (name, sizes) => {
    const config = roughConfigs[name];
    const parent = roughModel(config, name);
    const tokens = Int32Array.from(ids, (id) => id % roughVocabulary);
    const growth = { ...defaults, depth_method: "stack" as const, layers: 5, ...sizes };
    const { child, map } = await expandModel(parent, growth, createRng(5));
    expect(map).toMatchObject({ method: "lemon+stack", exact: false });
    const [small, big] = [placeModel(parent), placeModel(child)];
    const { boundaries, max_abs_dlogit } = await measureExactness(small, big, map, tokens, 4);
    small.dispose();
    big.dispose();
    expect(boundaries.length).toBeGreaterThanOrEqual(4);
    for (const { rel_err, hook_to } of boundaries) {
      expect(rel_err, hook_to).toBeLessThanOrEqual(1e-5);
    }
    expect(max_abs_dlogit).toBeGreaterThan(0.01);
    expect(map.heads[2].source).toEqual(map.heads[0].source); // a copy grows as its layer does
  },
);

describe("the map of a child that is not exact", () => {
  const plan = (growth: Partial<ExpandOptions>) =>
    planExpansion(gpt2, { ...defaults, ...growth }, createRng(1)).map;

  test("holds on the first copy of a stack, all but the final norm", () => {
    const map = plan({ depth_method: "stack", layers: 6 });
    expect(map.hooks.filter(({ exact }) => !exact).map(({ from }) => from)).toEqual([
      "ln_final.hook_normalized",
    ]);
    expect(map.layers).toEqual([
      [0, 3],
      [1, 4],
      [2, 5],
    ]);
    expect(hookEntry(map, "blocks.2.hook_resid_post")?.to).toEqual(["blocks.2.hook_resid_post"]);
  });

  test("sends the layers that solar cut from its first half to their only copies", () => {
    const map = plan({ depth_method: "solar", layers: 4 }); // 0 1 1 2
    expect(map.layers).toEqual([[0], [1, 2], [3]]);
    const of = (hook: string) => hookEntry(map, hook);
    expect(of("blocks.1.hook_resid_post")).toMatchObject({
      to: ["blocks.1.hook_resid_post"],
      exact: true,
    });
    // the boundary below layer 2 is the one above layer 1, wherever layer 2 went
    expect(of("blocks.2.hook_resid_pre")).toMatchObject({
      to: ["blocks.2.hook_resid_pre"],
      exact: true,
    });
    expect(of("blocks.2.mlp.hook_post")).toMatchObject({
      to: ["blocks.3.mlp.hook_post"],
      exact: false,
    });
    expect(of("blocks.2.hook_resid_post")).toMatchObject({
      to: ["blocks.3.hook_resid_post"],
      exact: false,
    });
  });

  test("keeps E on the prefix when the width grows with it", () => {
    const map = plan({ depth_method: "stack", layers: 6, width: 15 });
    const entry = hookEntry(map, "blocks.2.hook_resid_post");
    expect(entry).toMatchObject({ tensor: "residual", exact: true });
    const parent = randomModel(gpt2, 1);
    const wanted = { ...defaults, depth_method: "stack" as const, layers: 6, width: 15 };
    const { growth } = planExpansion(gpt2, wanted, createRng(1));
    const child = executePlanF64(growth.plan, parent, createRng(3));
    const [small, big] = [runF64(parent, [1, 4, 2]), runF64(child, [1, 4, 2])];
    const h = small.hooks.get("blocks.2.hook_resid_post")!;
    const H = big.hooks.get("blocks.2.hook_resid_post")!;
    for (let t = 0; t < 3; t++) {
      expect(H.slice(t * 15, t * 15 + 10)).toBeAllclose(h.slice(t * 10, t * 10 + 10), {
        atol: 1e-10,
      });
    }
  });
});

/** Parameters among `names` whose gradient of a loss is zero in every entry. */
function withoutGradient(host: HostModel, names: readonly string[]): string[] {
  const model = placeModel(host);
  const { inputs, targets, batch } = shift(ids, 12);
  const { value, grads } = valueAndGrads(
    () => crossEntropy(forwardHidden(model, inputs, batch), unembedding(model), targets),
    names.map((name) => model.params.get(name)!),
  );
  const silent = names.filter((_, i) => grads[i].dataSync().every((x) => x === 0));
  tf.dispose([value, ...grads]);
  model.dispose();
  return silent;
}

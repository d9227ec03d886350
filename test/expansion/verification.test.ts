// The whole matrix: every family, tied and not, under every way to grow that claims to be exact, at odd sizes. In f64
// against loops that share nothing with src/, in f32, and as written checkpoints in transformers. `--reporter=verbose`
// shows the table of largest deviations that docs/methods.md has.
import { beforeAll, expect, test } from "vitest";
import { createRng, useBackend } from "../../src/engine/index.ts";
import {
  type Exactness,
  type ExpandOptions,
  executePlan,
  mapVectors,
  measureExactness,
  type PlannedExpansion,
  planExpansion,
  pullBack,
} from "../../src/expansion/index.ts";
import {
  type HostModel,
  type ModelConfig,
  modelSizes,
  placeModel,
  saveModel,
} from "../../src/models/index.ts";
import { testBackend } from "../support/backend.ts";
import { temporaryFolder } from "../support/folder.ts";
import { forwardF64 } from "../support/forward-f64.ts";
import { executePlanF64 } from "../support/growth-f64.ts";
import { python } from "../support/python.ts";
import { everyFamily, roughModel, roughVocabulary } from "../support/rough-models.ts";
import { oddWidth, sizeGrowths } from "../support/size-growths.ts";

const at = temporaryFolder();

beforeAll(async () => {
  await useBackend(testBackend);
});

const otherTie = (name: string): ModelConfig => {
  const config = everyFamily[name];
  return { ...config, tie_word_embeddings: !config.tie_word_embeddings } as ModelConfig;
};

/** Every family, tied and untied where it can be either. */
const parents: Readonly<Record<string, ModelConfig>> = {
  ...everyFamily,
  "mistral tied": otherTie("mistral"),
  "qwen2 untied": otherTie("qwen2 tied"),
};

/** Growths of each kind that is exact for a model, at indivisible widths and head counts where the kind has them. */
function growths(config: ModelConfig): Readonly<Record<string, Partial<ExpandOptions>>> {
  const { dModel, nHead, nKvHead, headDim, dMlp } = modelSizes(config);
  const isBound = config.model_type === "gpt2" || config.model_type === "gpt_neox";
  const moreHeads = nHead + nHead / nKvHead;
  const odd = isBound
    ? { width: dModel + headDim }
    : { width: oddWidth(config, moreHeads), heads: moreHeads };
  const double = { width: 2 * dModel, ...(isBound ? {} : { heads: 2 * nHead }) };
  const oddMlp = { mlp: 2 * dMlp + 7 };
  return {
    lemon: { ...odd, mlp: dMlp + 9 },
    "lemon, twice and a rest": {
      width: 2 * dModel + (isBound ? headDim : config.model_type === "llama" ? nHead : 5),
    },
    "lemon+identity": { ...odd, layers: 4, positions: [-1, 1] },
    "lemon+cancel": { ...double, mlp: 2 * dMlp, layers: 3, depth_method: "cancel" },
    identity: { layers: 5 },
    hypercloning: { method: "hypercloning", ...double, mlp: 3 * dMlp },
    "gesmundo-maile": { method: "gesmundo-maile", mlp: dMlp + 13, ...(isBound ? {} : odd) },
    net2net: { method: "net2net", ...double, ...oddMlp },
    "bert2bert-fpi": { method: "bert2bert-fpi", ...double, ...oddMlp },
    ...sizeGrowths(config),
    ...(isBecomingMixtral(config) && {
      "moe-upcycle": { experts: 3, expertsPerToken: 2 },
      "lemon+moe-upcycle": { ...odd, experts: 4, expertsPerToken: 2, headDim: headDim + 2 },
    }),
  };
}

/** What has all of its parts in a Mixtral: no biases. */
function isBecomingMixtral(config: ModelConfig): boolean {
  if (config.model_type === "mistral") return true;
  return config.model_type === "llama" && !config.attention_bias && !config.mlp_bias;
}

const cases = Object.entries(parents).flatMap(([family, config]) =>
  Object.entries(growths(config)).map(([kind, growth]) => ({ family, kind, growth })),
);

const tokens = createRng("tokens");
const [batch, context] = [2, 15];
const ids = Int32Array.from({ length: batch * context }, () => tokens.int(roughVocabulary));

const models = new Map<string, HostModel>();
function parentOf(family: string): HostModel {
  const model = models.get(family) ?? roughModel(parents[family], family);
  models.set(family, model);
  return model;
}

function planned({ family, growth }: (typeof cases)[number]): PlannedExpansion {
  const options: ExpandOptions = {
    method: "lemon",
    depth_method: "identity",
    positions: "interleaved",
    noise_db: 0,
    ...growth,
  };
  return planExpansion(parents[family], options, createRng(family));
}

/** Largest deviations by kind of growth. */
const worst = new Map<string, Record<string, number>>();
function record(kind: string, what: string, value: number): void {
  const row = worst.get(kind) ?? {};
  row[what] = Math.max(row[what] ?? 0, value);
  worst.set(kind, row);
}

const largest = (exactness: Exactness) =>
  Math.max(...exactness.boundaries.map(({ rel_err }) => rel_err));

test.each(cases)("$family, $kind", async (one) => {
  const parent = parentOf(one.family);
  const { growth, map } = planned(one);
  expect(map.exact).toBe(true);
  const weights = createRng(one.kind);

  const exactChild = executePlanF64(growth.plan, parent, weights);
  const few = ids.subarray(0, context);
  const [small, big] = [forwardF64(parent, few), forwardF64(exactChild, few)];
  const vocabulary = big.logits.length / context;
  const apart = small.logits.map((logit, i) => {
    const [t, token] = [Math.floor(i / roughVocabulary), i % roughVocabulary];
    return Math.abs(big.logits[t * vocabulary + token] - logit);
  });
  record(one.kind, "f64 logits", Math.max(...apart));
  expect(Math.max(...apart)).toBeLessThanOrEqual(1e-10);
  for (const { from, to, tensor, exact } of map.hooks) {
    const value = small.hooks.get(from);
    if (value === undefined) continue;
    for (const hook of to) {
      const found = big.hooks.get(hook) as Float64Array;
      const close = { rtol: 1e-9, atol: 1e-10 };
      expect(pullBack(map, tensor, found), `${hook} back`).toBeAllclose(value, close);
      if (!exact) continue; // new units that have no parent
      expect(found, hook).toBeAllclose(mapVectors(map, tensor, value), close);
    }
  }

  const child = await executePlan(growth.plan, parent, weights);
  const placed = [placeModel(parent), placeModel(child)] as const;
  const exactness = await measureExactness(...placed, map, ids, batch);
  for (const model of placed) model.dispose();
  record(one.kind, "f32 logits", exactness.max_abs_dlogit);
  record(one.kind, "f32 boundary", largest(exactness));
  expect(exactness.max_abs_dlogit).toBeLessThanOrEqual(1e-4);
  expect(largest(exactness)).toBeLessThanOrEqual(1e-5);
});

const script = `
import sys, json, torch
from transformers import AutoModelForCausalLM
torch.set_num_threads(1)
ids = torch.arange(60).reshape(4, 15) ** 2 % 61
def logits(folder):
    model, info = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, output_loading_info=True)
    assert not info["missing_keys"] and not info["unexpected_keys"] and not info["mismatched_keys"], info
    if model.config.model_type == "mixtral": # its fast products take widths of 16 bytes only
        model.set_experts_implementation("eager")
    with torch.no_grad():
        return model(ids).logits[..., :61]
worst = []
for parent, children in json.loads(sys.argv[1]):
    want = logits(parent)
    worst.append([(logits(child) - want).abs().max().item() for child in children])
print(json.dumps(worst))
`;

python.test("every written checkpoint has its parent's logits in transformers", async (run) => {
  const families = Object.keys(parents);
  const folders: [string, string[]][] = [];
  for (const [i, family] of families.entries()) {
    const parent = parentOf(family);
    saveModel(at(`${i}`), parent);
    const children: string[] = [];
    for (const [j, one] of cases.entries()) {
      if (one.family !== family) continue;
      const { growth } = planned(one);
      children.push(at(`${i}-${j}`));
      saveModel(at(`${i}-${j}`), await executePlan(growth.plan, parent, createRng(one.kind)));
    }
    folders.push([at(`${i}`), children]);
  }
  const found = (JSON.parse(await run(script, [JSON.stringify(folders)])) as number[][]).flat();
  expect(found).toHaveLength(cases.length);
  for (const [i, { family, kind }] of cases.entries()) {
    record(kind, "transformers", found[i]);
    expect(found[i], `${family}, ${kind}`).toBeLessThanOrEqual(1e-4);
  }
});

test("the table", async ({ annotate }) => {
  const columns = ["f64 logits", "f32 logits", "f32 boundary", "transformers"];
  const lines = [...worst].map(([kind, row]) =>
    [kind, ...columns.map((name) => row[name]?.toExponential(0) ?? "")].join(" | "),
  );
  expect(lines.length).toBeGreaterThan(10);
  await annotate(`\n${lines.join("\n")}`);
});

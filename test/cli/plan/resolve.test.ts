// Resolving a plan: every default spelled out, and the same plan again after it was stored and read back.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { expandDefaults } from "../../../cli/plan/defaults.ts";
import { parsePlan } from "../../../cli/plan/parse.ts";
import { resolvePlan } from "../../../cli/plan/resolve.ts";
import { planText } from "../../../cli/plan/store.ts";
import type { PlanInput } from "../../../cli/plan/types.ts";
import { defaultSaeRate, saeConfig, saeTrainDefaults } from "../../../sae/index.ts";
import { defaultNoiseDb, learnDefaults } from "../../../src/expansion/index.ts";
import type { UsageError } from "../../../src/io/index.ts";
import { lmTrainDefaults } from "../../../src/models/index.ts";

let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "plan-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

const resolve = (input: PlanInput) => resolvePlan(input, folder, "plan.yaml");

function problemOf(input: PlanInput): UsageError {
  try {
    resolve(input);
  } catch (error) {
    return error as UsageError;
  }
  throw new Error("the plan was accepted");
}

describe("resolvePlan", () => {
  test("an empty plan is the demo's corpus, a 2-layer model and one BatchTopK SAE in its middle", () => {
    const plan = resolve({});
    expect(plan.data).toMatchObject({ corpus: "sotu", path: null, context: 64 });
    expect(plan.model).toMatchObject({ d_model: 64, layers: 2, heads: 4, mlp: 256 });
    expect(plan.saes).toHaveLength(1);
    expect(plan.saes[0]).toMatchObject({
      name: "resid",
      hook: "blocks.0.hook_resid_post",
      architecture: "batchtopk",
      k: 16,
    });
    expect(plan.stages).toEqual([]);
    expect(plan.controls.arms).toContain("carried-scratch");
  });

  test("no key of a resolved plan is undefined", () => {
    const plan = resolve({
      stages: [{ expand: { width: "1.5x" }, gates: [{ kind: "held_out_loss", max: 4 }] }],
    });
    const walk = (value: unknown): void => {
      expect(value).not.toBeUndefined();
      if (typeof value === "object" && value !== null) Object.values(value).forEach(walk);
    };
    walk(plan);
  });

  test("a stage's training is as the base's except tokens; it carries moments, freezes nothing, keeps three checkpoints", () => {
    const plan = resolve({
      model: { train: { batch_tokens: 512, lr: 0.01, tokens: 1000, clip: 2 } },
      stages: [{ expand: { layers: 4 } }, { expand: { layers: 6 }, train: { lr: 0.005 } }],
    });
    expect(plan.stages[0].train).toMatchObject({
      batch_tokens: 512,
      clip: 2,
      tokens: 400_000,
      lr: 0.01,
      optimizer: "carry",
      freeze: "none",
      checkpoints: 3,
    });
    expect(plan.stages[1].train.lr).toBe(0.005);
  });

  test("a warm-up is a share of the steps or tokens, no more than are trained on", () => {
    const warmup = (value: number) =>
      resolve({ stages: [{ expand: { layers: 4 }, train: { tokens: 1000, warmup: value } }] })
        .stages[0].train.warmup;
    expect([warmup(0.2), warmup(1), warmup(1000)]).toEqual([0.2, 1, 1000]);
    for (const value of [1.5, 1001]) {
      expect(() => warmup(value)).toThrow(/stages\[0\]\.train\.warmup.*at most the 1000/);
    }
  });

  test("a stage's text is the base's with other keys, or another corpus with the base's split", () => {
    const base = {
      corpus: "jsonl",
      path: "a.jsonl",
      field: "body",
      held_out: 0.2,
      max_tokens: 900,
    } as const;
    const { data, stages } = resolve({
      data: { ...base, order: { by: "year" }, context: 32 },
      stages: [
        { expand: { layers: 4 } },
        { expand: { layers: 5 }, data: { filter: { year: { max: 1900 } } } },
        { expand: { layers: 6 }, data: { path: "b.txt" } },
        { expand: { layers: 7 }, data: { corpus: "sotu", order: "file" } },
      ],
    });
    expect(data).toMatchObject({ context: 32, order: { by: "year", descending: false } });
    const { context, ...corpus } = data;
    expect(context).toBe(32);
    expect(stages.map((stage) => stage.data)).toEqual([
      null,
      { ...corpus, filter: { year: { max: 1900 } } },
      {
        ...{
          corpus: "text",
          path: expect.stringMatching(/\Wb\.txt$/),
          field: "body",
          held_out: 0.2,
        },
        ...{ order: "shuffled", filter: null, max_tokens: null },
      },
      {
        ...{ corpus: "sotu", path: null, field: "body", held_out: 0.2 },
        ...{ order: "file", filter: null, max_tokens: null },
      },
    ]);
    expect(() =>
      resolve({ stages: [{ data: { corpus: "folder" }, expand: { layers: 4 } }] }),
    ).toThrow("stages[0].data.path");
  });

  test("stages are named by what they change, each once", () => {
    const { stages } = resolve({
      stages: [
        { expand: { width: "1.5x" } },
        { expand: { layers: "+2" } },
        { expand: { heads: 8 } },
        { expand: { width: 128, layers: 6 } },
        { expand: { mlp: "2x" } },
      ],
    });
    expect(stages.map(({ name }) => name)).toEqual([
      "wider",
      "deeper",
      "wider-2",
      "bigger",
      "more-neurons",
    ]);
  });

  test("a preset fills the arms; what is given stays", () => {
    expect(resolve({ controls: { preset: "quick" } }).controls).toEqual({
      preset: "quick",
      fresh_seeds: 1,
      arms: ["frozen", "fresh", "reinit"],
      crosscoder: "batchtopk",
      sweep: [],
    });
    expect(resolve({ controls: { preset: "full", arms: ["fresh"] } }).controls).toEqual({
      preset: "full",
      fresh_seeds: 4,
      arms: ["fresh"],
      crosscoder: "batchtopk",
      sweep: [4, 16],
    });
    expect(resolve({ controls: { crosscoder: "standard" } }).controls.crosscoder).toBe("standard");
  });

  test("a path alone makes a text corpus, read from the plan's folder", () => {
    expect(resolve({ data: { path: "my.txt" } }).data).toMatchObject({
      corpus: "text",
      path: join(folder, "my.txt"),
    });
  });

  test("defaults that the library has too are the same there", () => {
    expect(expandDefaults.noise_db).toBe(defaultNoiseDb);
    expect(learnDefaults).toMatchObject({
      steps: expandDefaults.ligo_steps,
      lr: expandDefaults.ligo_lr,
    });
    const { model, saes } = resolve({});
    const { lr, warmup, min_lr_ratio, weight_decay, clip, beta1, beta2 } = model.train;
    expect({
      lr,
      warmup,
      minLrRatio: min_lr_ratio,
      weightDecay: weight_decay,
      clip,
      beta1,
      beta2,
    }).toEqual(lmTrainDefaults);
    const [sae] = saes;
    expect(sae.lr).toBe(defaultSaeRate(sae.d_sae));
    expect(saeTrainDefaults).toMatchObject({
      warmup: sae.warmup,
      decay: sae.decay,
      beta1: sae.beta1,
      beta2: sae.beta2,
      normalize: sae.normalize_activations,
      kAux: sae.k_aux,
      resampleAt: sae.resample_at,
      kWarmup: sae.k_warmup,
      thresholdRate: sae.threshold_rate,
      sparsityWarmup: sae.sparsity_warmup,
      l1Coefficient: sae.l1_coefficient,
      l1Rate: sae.l1_rate,
      gateTrainsDecoder: sae.gate_trains_decoder,
      l0Coefficient: sae.l0_coefficient,
      sparsityMode: sae.sparsity_mode,
      tanhScale: sae.tanh_scale,
      bandwidth: sae.bandwidth,
      initThreshold: sae.init_threshold,
    });
    const { architecture, d_sae, k, hook, aux_coefficient } = sae;
    const cfg = saeConfig({ architecture, d_in: 64, d_sae, k, hook_name: hook });
    expect(cfg.aux_coefficient).toBe(aux_coefficient);
  });

  test("an SAE's rate falls with the root of its latents above 512", () => {
    const rates = [128, 512, 768, 2048].map((d_sae) => resolve({ saes: [{ d_sae }] }).saes[0].lr);
    expect(rates).toEqual([0.008, 0.008, 0.0065, 0.004]);
    expect(resolve({ saes: [{ d_sae: 2048, lr: 0.01 }] }).saes[0].lr).toBe(0.01);
  });

  test("a latent is dead after as many tokens as one of average frequency fires 100 times in", () => {
    const deadAfter = (sae: object) => resolve({ saes: [sae] }).saes[0].dead_after_tokens;
    expect(deadAfter({})).toBe(10_000);
    expect(deadAfter({ d_sae: 16_384, k: 32 })).toBe(51_200);
    expect(deadAfter({ d_sae: 16_384, k: null, architecture: "jumprelu" })).toBe(10_000);
    expect(deadAfter({ dead_after_tokens: 500 })).toBe(500);
  });

  test("contradictions between keys are errors that name one of them", () => {
    expect(problemOf({ model: { d_model: 64, heads: 5 } }).where).toBe("plan.yaml model.heads");
    expect(problemOf({ saes: [{ k: 17, d_sae: 16 }] }).where).toBe("plan.yaml saes[0].k");
    const late = { tokens: 4000, batch_tokens: 1000, resample_at: [3, 4] };
    expect(problemOf({ saes: [late] })).toMatchObject({
      where: "plan.yaml saes[0].resample_at",
      got: "4",
    });
    expect(problemOf({ saes: [{}, {}] }).where).toBe("plan.yaml saes[1].name");
    expect(problemOf({ saes: [{ name: "A" }, { name: "a" }] }).where).toBe(
      "plan.yaml saes[1].name",
    );
    expect(problemOf({ saes: [{ name: "a" }, { name: "A.pre" }] })).toMatchObject({
      where: "plan.yaml saes[1].name",
      got: "A.pre",
    });
    expect(problemOf({ stages: [{}] }).where).toBe("plan.yaml stages[0].expand");
    expect(problemOf({ stages: [{ name: "base", expand: { layers: 3 } }] }).where).toBe(
      "plan.yaml stages[0].name",
    );
    expect(
      problemOf({ stages: [{ expand: { layers: 3 }, gates: [{ kind: "held_out_loss" }] }] }).where,
    ).toBe("plan.yaml stages[0].gates[0]");
    expect(problemOf({ data: { corpus: "jsonl" } }).where).toBe("plan.yaml data.path");
    expect(problemOf({ data: { corpus: "sotu", path: "x" } }).where).toBe("plan.yaml data.path");
  });

  describe("with a checkpoint", () => {
    beforeAll(() => {
      mkdirSync(join(folder, "gpt2"));
      const config = {
        model_type: "gpt2",
        n_embd: 48,
        n_layer: 3,
        n_head: 6,
        n_positions: 32,
        vocab_size: 500,
      };
      writeFileSync(join(folder, "gpt2", "config.json"), JSON.stringify(config));
      writeFileSync(join(folder, "gpt2", "tokenizer.json"), "{}");
    });

    test("sizes are the checkpoint's, and it isn't trained unless asked for", () => {
      const plan = resolve({ model: { path: "gpt2" }, data: { context: 32 } });
      expect(plan.model).toMatchObject({ d_model: 48, layers: 3, heads: 6, mlp: 192 });
      expect(plan.model.train.tokens).toBe(0);
      expect(plan.tokenizer).toEqual({
        path: join(folder, "gpt2", "tokenizer.json"),
        vocab_size: 500,
      });
      expect(plan.saes[0].hook).toBe("blocks.1.hook_resid_post");
    });

    test("sizes that differ from it, and contexts beyond it, are errors", () => {
      expect(problemOf({ model: { path: "gpt2", d_model: 64 }, data: { context: 32 } }).where).toBe(
        "plan.yaml model.d_model",
      );
      expect(problemOf({ model: { path: "gpt2" }, data: { context: 64 } }).where).toBe(
        "plan.yaml data.context",
      );
      expect(problemOf({ model: { path: "nothing" } }).code).toBe("cannot-read");
    });
  });
});

const train = fc.record(
  {
    tokens: fc.nat(1e6),
    lr: fc.double({ min: 1e-6, max: 1, noNaN: true }),
    batch_tokens: fc.integer({ min: 1, max: 1e5 }),
  },
  { requiredKeys: [] },
);
const plans: fc.Arbitrary<PlanInput> = fc.record(
  {
    seed: fc.nat(2 ** 32 - 1),
    workers: fc.constantFrom("auto" as const, 1, 3),
    data: fc.oneof(
      fc.constant({}),
      fc.record({
        path: fc.stringMatching(/^[a-z #:'"-]{1,12}$/),
        context: fc.integer({ min: 4, max: 512 }),
      }),
    ),
    model: fc.record({ train }, { requiredKeys: [] }),
    saes: fc.uniqueArray(
      fc.record({ name: fc.stringMatching(/^[a-z0-9]{1,8}$/), k: fc.integer({ min: 1, max: 64 }) }),
      { minLength: 1, maxLength: 3, selector: ({ name }) => name },
    ),
    stages: fc.array(
      fc.record({
        expand: fc.record({
          width: fc.constantFrom(null, 96, "1.5x", "+32"),
          layers: fc.constantFrom("+2", 4, "2x"),
          positions: fc.constantFrom("top" as const, [0, 3]),
          noise_db: fc.constantFrom(null, 12.5),
        }),
        train,
        data: fc.constantFrom(
          null,
          { path: "other #1.txt", order: { by: "year" } },
          { filter: { year: { min: 1790, max: 1900 }, party: ["Whig"] } },
        ),
        gates: fc.array(
          fc.record({ kind: fc.constant("held_out_loss" as const), max: fc.constant(4) }),
        ),
      }),
      { maxLength: 3 },
    ),
    report: fc.record({
      title: fc.string({ minLength: 1, maxLength: 50 }).filter((s) => s.trim() === s && s !== ""),
    }),
  },
  { requiredKeys: [] },
);

test("a resolved plan that is stored and read back is itself, with the same bytes", () => {
  fc.assert(
    fc.property(plans, (input) => {
      const plan = resolve(input);
      const run = join(folder, "runs", "x");
      const text = planText(plan, run);
      const again = resolvePlan(parsePlan(text, "plan.yaml"), run, "plan.yaml");
      expect(again).toEqual(plan);
      expect(planText(again, run)).toBe(text);
      expect(text).not.toContain(folder);
    }),
  );
});

describe("the base model's architecture", () => {
  test("is a GPT-2 where none is named, and what is named otherwise", () => {
    expect(resolve({}).model).toMatchObject({ family: "gpt2", kv_heads: null });
    const model = { family: "llama", heads: 4, kv_heads: 2 };
    expect(resolve({ model }).model).toMatchObject(model);
  });

  test("is that of the checkpoint, which a plan can't contradict", () => {
    const path = join(folder, "neox");
    mkdirSync(path);
    const sizes = { hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2 };
    writeFileSync(
      join(path, "config.json"),
      JSON.stringify({
        ...{ model_type: "gpt_neox", vocab_size: 300, intermediate_size: 32, ...sizes },
        ...{ max_position_embeddings: 64, rotary_pct: 0.25 },
      }),
    );
    writeFileSync(join(path, "tokenizer.json"), "{}");
    expect(resolve({ model: { path } }).model).toMatchObject({ family: "gpt_neox", d_model: 16 });
    expect(problemOf({ model: { path, family: "gpt2" } }).where).toContain("model.family");
  });
});

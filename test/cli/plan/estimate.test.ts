// --dry-run: sizes and costs worked out by hand, and what can't be refused before anything runs.
import { describe, expect, test } from "vitest";
import { jsonDocuments } from "../../../cli/json-schemas.ts";
import { estimateRun } from "../../../cli/plan/estimate.ts";
import { readPlan } from "../../../cli/plan/parse.ts";
import { resolvePlan } from "../../../cli/plan/resolve.ts";
import { stageConfigs } from "../../../cli/plan/sizes.ts";
import type { PlanInput } from "../../../cli/plan/types.ts";
import { likenessModels } from "../../../cli/run/checkpoints.ts";
import { UsageError } from "../../../src/io/index.ts";
import { modelSizes } from "../../../src/models/index.ts";

const resolve = (input: PlanInput) => resolvePlan(input, "/", "plan.yaml");
const estimate = (input: PlanInput, command: "train" | "expand-and-track" = "expand-and-track") =>
  estimateRun(resolve(input), { command, out: "runs/x", where: "plan.yaml", rate });
const rate = { flopsPerSecond: 1e10, backend: "native", workers: 1, threads: 1 } as const;

const small: PlanInput = {
  data: { context: 8 },
  tokenizer: { vocab_size: 300 },
  model: { d_model: 8, layers: 1, heads: 2, train: { tokens: 1000 } },
  saes: [{ d_sae: 32, k: 4, tokens: 500 }],
  stages: [
    { expand: { width: 12 }, train: { tokens: 400 }, carry: { tokens: 200, new_latents: 0 } },
  ],
  controls: { fresh_seeds: 2 },
};

describe("estimateRun", () => {
  test("parameters by hand: embeddings, one block, final norm", () => {
    const [base] = estimate(small).stages;
    // wte 300·8 + wpe 8·8 + attention 8·24+24 + 8·8+8 + MLP 8·32+32 + 32·8+8 + three norms of 2·8
    expect(base.params).toBe(2400 + 64 + 216 + 72 + 288 + 264 + 48);
    expect(base).toMatchObject({ stage: "00-base", d_model: 8, n_layer: 1, n_head: 2, d_mlp: 32 });
  });

  test("tokens over all arms by hand", () => {
    const [base, wider] = estimate(small).stages;
    // base: its own SAE and two fresh ones on the parent
    expect(base).toMatchObject({ lm_tokens: 1000, sae_tokens: 3 * 500, saes: 3 });
    // carried, reinit, same-model, no-expand, carried-scratch, rotated and two perturbed ones continue; fresh and
    // scratch have 2 seeds, the crosscoder trains for as long
    expect(wider.sae_tokens).toBe(8 * 200 + 5 * 500);
    expect(wider.saes).toBe(13);
    // grown 400, from scratch 1400, unexpanded 400
    expect(wider.lm_tokens).toBe(2200);
  });

  test("moments are 8 bytes a trained parameter, none where nothing is trained; a reset is said", () => {
    const bytes = (input: PlanInput) =>
      estimate(input).stages.map(({ optimizer_bytes }) => optimizer_bytes);
    const [base, wider] = estimate(small).stages;
    expect(bytes(small)).toEqual([8 * base.params, 8 * wider.params]);
    const [stage] = small.stages ?? [];
    const frozen = { ...stage, train: { tokens: 400, freeze: ["*.wte.weight"] } };
    expect(bytes({ ...small, stages: [frozen] })[1]).toBe(8 * (wider.params - 300 * 12));
    const untrained = { ...small, model: { ...small.model, train: { tokens: 0 } } };
    expect(bytes(untrained)[0]).toBe(0);
    expect(estimate(untrained).notes).toContain(
      "wider: the optimizer is reset, not carry: the parent is not trained in this run and has no moments",
    );
    expect(estimate(small).notes.join()).not.toContain("optimizer");
    const more = estimate(small).total.disk_bytes - estimate(untrained).total.disk_bytes;
    expect(more).toBe(8 * base.params + 4 * 1000); // the corpus counts as long as the training
  });

  test("a freeze that matches nothing, or leaves nothing, is refused before anything runs", () => {
    const [stage] = small.stages ?? [];
    const freeze = (what: string | string[], expand = stage.expand) =>
      estimate({ ...small, stages: [{ expand, train: { freeze: what as "inherited" } }] });
    expect(() => freeze(["*.mpl.*"])).toThrow(/stages\[0\]\.train\.freeze.*\*\.mpl\.\*/);
    expect(() => freeze("old-layers")).toThrow("every parameter");
    expect(() => freeze("inherited", { width: 16 })).toThrow("every parameter");
    expect(() => freeze("inherited")).not.toThrow();
    expect(() => freeze("old-layers", { layers: "+1" })).not.toThrow();
  });

  test("fewer arms cost less, and train costs the base stage alone", () => {
    const quick = estimate({ ...small, controls: { preset: "quick" } });
    expect(quick.total.flops).toBeLessThan(estimate(small).total.flops);
    expect(estimate(small, "train").stages).toHaveLength(1);
  });

  test("what ligo learns on costs as much as training the child on it", () => {
    const grown = (ligo_steps: number) => {
      const [stage] = small.stages ?? [];
      const expand = { width: 12, method: "ligo" as const, ligo_steps };
      return estimate({ ...small, stages: [{ ...stage, expand }] }).stages[1].flops;
    };
    // 6 for each of 12·36 + 12·12 + 2·12·48 + 300·12 weights, and 12·1·12·8 for attention
    const perToken = 6 * (432 + 144 + 1152 + 3600) + 1152;
    expect(grown(7) - grown(2)).toBeCloseTo(5 * 2048 * perToken, 0);
  });

  test("checkpoints take two bytes a parameter: of the grown model, and of the from-scratch one at as many tokens", () => {
    const disk = (checkpoints: number, controls: PlanInput["controls"]) => {
      const [stage] = small.stages ?? [];
      const train = { ...stage.train, checkpoints };
      const model = { ...small.model, train: { ...small.model?.train, batch_tokens: 8 } };
      const input = { ...small, model, controls, stages: [{ ...stage, train }] };
      return estimate(input).total.disk_bytes;
    };
    const [, wider] = estimate(small).stages;
    // after 6, 13 and 25 of 50 steps; the other has one more, where the stage began
    const quick = { preset: "quick" } as const;
    expect(disk(3, quick) - disk(0, quick)).toBe(2 * 3 * wider.params);
    expect(disk(3, small.controls) - disk(0, small.controls)).toBe(2 * (3 + 4) * wider.params);
  });

  test("memory and time are of each task: operations over a share of the rate and some seconds, null without one", () => {
    const { total, tasks, buffer } = estimate(small);
    const lm = tasks.find(({ task }) => task === "00-base/lm");
    // 6 for each of 8·24 + 8·8 + 2·8·32 + 300·8 weights, and 12·1·8·8 for attention, a token
    expect(lm?.flops).toBe(1000 * (6 * (192 + 64 + 512 + 2400) + 768));
    expect(lm?.seconds).toBeCloseTo((lm?.flops ?? 0) / (0.5 * 1e10) + 1);
    const sum = (key: "flops" | "seconds") =>
      tasks.reduce((all, task) => all + (task[key] ?? 0), 0);
    expect(sum("flops")).toBeCloseTo(total.flops, 0);
    expect(sum("seconds")).toBeCloseTo(total.seconds ?? 0);
    expect(Math.max(...tasks.map(({ memory_bytes }) => memory_bytes))).toBe(total.memory_bytes);
    // 16 batches of 2,048 tokens of both models, 8 + 12 numbers each: the crosscoder reads most
    expect(buffer).toEqual({ tokens: 16 * 2048, bytes: 16 * 2048 * 20 * 4 });
    const unknown = { command: "train", out: "x", where: "p", rate: null } as const;
    expect(estimateRun(resolve(small), unknown).total.seconds).toBeNull();
  });

  test("the demo's estimate on the machine that it was timed on is near what it took, and says what it rests on", async () => {
    // 3 min 20 s on two quiet cores with about 95 GFLOP/s each (README)
    const plan = resolvePlan(await readPlan("examples/demo.yaml"), "examples", "demo.yaml");
    const machine = { flopsPerSecond: 95e9, backend: "native", workers: 2, threads: 1 };
    const where = { command: "expand-and-track", out: "x", where: "demo.yaml" } as const;
    const { total, notes } = estimateRun(plan, { ...where, rate: machine });
    expect((total.seconds ?? 0) / 200).toBeGreaterThan(1 / 1.5);
    expect((total.seconds ?? 0) / 200).toBeLessThan(1.5);
    expect(notes.at(-1)).toMatch(/quiet machine.*95 GFLOP\/s.*native.*50%.*2 at a time/);
  });

  test("likeness runs each model once for all SAEs of a hook", () => {
    const sae = { d_sae: 32, k: 4, tokens: 500 };
    const flops = (...hooks: readonly string[]): number => {
      const saes = hooks.map((hook, i) => ({ ...sae, hook, name: `sae-${i}` }));
      const { tasks } = estimate({ ...small, saes });
      return tasks.find(({ task }) => task === "01-wider/likeness")?.flops ?? 0;
    };
    const plan = resolve(small);
    const [one, other] = ["blocks.0.hook_resid_pre", "blocks.0.hook_resid_post"];
    // a third of a training step's operations: 6 for each of 12·36 + 12·12 + 2·12·48 + 300·12 weights, and 12·1·12·8
    const forward = (6 * (432 + 144 + 1152 + 3600) + 1152) / 3;
    const passes = likenessModels(plan, 1) * plan.eval.tokens * forward;
    expect(flops(one, other) - flops(one, one)).toBeCloseTo(passes, -3);
    expect(flops(one, one)).toBeCloseTo(2 * flops(one) - passes, -3);
  });

  test("a transcoder costs by both of its widths, and its skip connection besides", () => {
    const hooks = { hook: "blocks.0.mlp.hook_in", hook_out: "blocks.0.mlp.hook_post" };
    const base = (sae: object) => {
      const { tasks, buffer } = estimate({
        ...small,
        saes: [{ d_sae: 32, k: 4, tokens: 500, ...sae }],
      });
      const task = tasks.find(({ task: id }) => id === "00-base/sae");
      return { flops: task?.flops ?? 0, memory: task?.memory_bytes ?? 0, bytes: buffer?.bytes };
    };
    const [sae, transcoder, skip] = [
      base({ hook: hooks.hook }),
      base(hooks),
      base({ ...hooks, skip_connection: true }),
    ];
    // it reads 8 numbers and reconstructs 32: 24 more in the sparse half, in a decoder with gradients and two moments
    expect(transcoder.flops - sae.flops).toBe(500 * 6 * 4 * 24);
    expect(transcoder.memory - sae.memory).toBe(4 * (4 * 32 * 24) + 16 * 2048 * 32 * 4);
    expect(skip.flops - transcoder.flops).toBe(500 * 6 * 8 * 32);
    expect(skip.memory - transcoder.memory).toBe(4 * 4 * 8 * 32);
    // the grown stage's, 12 and 48 wide
    expect(transcoder.bytes).toBe(16 * 2048 * 60 * 4);
  });

  test("the document follows its schema", () => {
    expect(() => jsonDocuments["dry-run"].schema.parse(estimate(small))).not.toThrow();
  });
});

describe("stageConfigs", () => {
  const problem = (input: PlanInput): UsageError => {
    try {
      stageConfigs(resolve(input), "plan.yaml");
    } catch (error) {
      expect(error).toBeInstanceOf(UsageError);
      return error as UsageError;
    }
    throw new Error("the plan was accepted");
  };

  test("a factor that no head count allows is rounded, with a note", () => {
    const { configs, notes } = stageConfigs(
      resolve({ stages: [{ expand: { width: "1.3x" } }, { expand: { layers: "+2" } }] }),
      "plan.yaml",
    );
    expect(configs.map((config) => [modelSizes(config).dModel, modelSizes(config).nLayer])).toEqual(
      [
        [64, 2],
        [80, 2],
        [80, 4],
      ],
    );
    expect(notes[0]).toMatch(/^wider: .*80/);
  });

  test("a norm by row that an expansion can't carry is refused before anything is trained", () => {
    const withNorm = (normalize_activations: "layer_norm" | "constant_norm_rescale") => [
      {},
      { name: "normed", normalize_activations },
    ];
    const lost = problem({
      saes: withNorm("constant_norm_rescale"),
      stages: [{ expand: { layers: "+2" } }, { expand: { width: "1.5x" } }],
    });
    expect(lost).toMatchObject({ code: "sae-norm-map" });
    expect(lost.where).toContain("saes[1].normalize_activations, stages[1].expand");
    // a ligo map is learned, and that of a stack past its first copy is fitted
    const learned = { expand: { width: "2x", method: "ligo" } } as const;
    expect(problem({ saes: withNorm("layer_norm"), stages: [learned] }).got).toMatch(/learned/);
    const stacked = { expand: { layers: "2x", depth_method: "stack" } } as const;
    const top = { hook: "ln_final.hook_normalized", normalize_activations: "layer_norm" } as const;
    expect(problem({ saes: [top], stages: [stacked] }).got).toMatch(/fitted/);
    expect(
      stageConfigs(resolve({ saes: withNorm("layer_norm"), stages: [stacked] }), "plan"),
    ).toHaveProperty("configs.length", 2);
  });

  test("norms by row pass depth, whole copies, and layer_norm LEMON's copies too", () => {
    const accept = (
      normalize_activations: "layer_norm" | "constant_norm_rescale",
      expand: NonNullable<PlanInput["stages"]>[number]["expand"],
    ) => stageConfigs(resolve({ saes: [{ normalize_activations }], stages: [{ expand }] }), "plan");
    for (const norm of ["layer_norm", "constant_norm_rescale"] as const) {
      expect(accept(norm, { layers: "+2" }).configs).toHaveLength(2);
      expect(accept(norm, { width: "2x", method: "hypercloning" }).configs).toHaveLength(2);
    }
    expect(accept("layer_norm", { width: "1.5x" }).configs).toHaveLength(2);
  });

  test("a hook that the model lacks, an impossible width, a smaller child name their key", () => {
    expect(problem({ saes: [{ hook: "blocks.7.hook_resid_post" }] }).where).toContain(
      "plan.yaml saes[0].hook",
    );
    const odd = problem({ stages: [{ expand: { layers: 3 } }, { expand: { width: 70 } }] });
    expect(odd.where).toContain("plan.yaml stages[1].expand");
    expect(odd.hint).toContain("64 and 80");
    expect(problem({ stages: [{ expand: { width: 32 } }] }).code).toBe("child-too-small");
    expect(problem({ stages: [{ expand: { layers: 2 } }] }).code).toBe("nothing-to-grow");
  });
});

/**
 * @file Every document that a command prints under --json, and those of the run folder that the
 * contract names, as zod: one file, from which docs/json.md is generated. Ratios are fractions, what
 * was not measured or is not finite is null, intervals are [lo, hi].
 */
import { z } from "zod";
import type { FiveQuestions, GateResult, GrowthReport } from "../circuits/index.ts";
import type { CrosscoderDocument } from "../sae/index.ts";
import type { ComparedDocument } from "./commands/compare.ts";
import type { HistoryDocument } from "./run/tasks/histories.ts";

const count = z.int().min(0);
const measured = z.number().nullable();
const interval = z.tuple([z.number(), z.number()]).nullable();
const text = z.string();
const estimate = z
  .strictObject({ value: measured, ci: interval })
  .describe("a share and its interval");

function header<T extends string>(format: T) {
  return { format: z.literal(`sae-carry/${format}`), version: z.literal(1) };
}

const sizes = z.strictObject({
  d_model: count,
  n_layer: count,
  n_head: count,
  n_kv_head: count.optional().describe("heads of keys and values where they are fewer"),
  d_head: count.optional().describe("width of a head where it isn't d_model / n_head"),
  d_mlp: count,
  n_expert: count.optional().describe("experts in a layer, each of d_mlp neurons"),
  n_expert_per_token: count.optional().describe("experts that a token uses"),
  vocab_size: count.optional().describe("tokens; absent in old expansion maps"),
  params: count,
});

const exactness = z
  .strictObject({
    max_abs_dlogit: measured.describe("largest difference of a logit"),
    kl: measured.describe("mean KL(parent ‖ child) per token, nats"),
    loss_parent: measured.describe("cross-entropy of the next token, nats, on the same tokens"),
    loss_child: measured,
    boundaries: z
      .array(z.strictObject({ hook_from: text, hook_to: text, rel_err: measured }))
      .describe("relative error of h_big = E h_small on the worst token, per boundary"),
    tokens: count.optional(),
  })
  .describe("how far the child's function is from its parent's");

const density = z.strictObject({
  log10_edges: z.array(z.number()),
  counts: z.array(count),
});

const evaluation = {
  sae: text,
  hook_name: text,
  hook_name_out: text
    .optional()
    .describe("of a transcoder: what all figures of what is reconstructed are of"),
  tokens: count,
  first_tokens_excluded: z.boolean(),
  high_norm_excluded: count.describe("tokens left out for their norm (saes[].max_norm_ratio)"),
  l0: measured,
  l1: measured.describe("sum of a token's activations"),
  fvu: measured.describe("E‖x−x̂‖² / (E‖x‖² − ‖Ex‖²)"),
  explained_variance: measured.describe("1 − fvu"),
  explained_variance_legacy: measured.describe("mean over tokens of 1 − ‖x−x̂‖²/‖x−mean‖²"),
  mse: measured.describe("E‖x−x̂‖²"),
  cossim: measured.describe("mean cosine of x and x̂"),
  ce_orig: measured.describe("loss of the model, nats"),
  ce_sae: measured.describe("with the SAE's reconstruction in place of the activations"),
  ce_zero: measured,
  ce_mean: measured,
  ce_loss_score_zero: measured,
  ce_loss_score_mean: measured,
  kl_div_with_sae: measured.describe("KL from the untouched model, nats"),
  kl_div_with_ablation: measured.describe("with zero in place of the activations"),
  kl_div_score: measured,
  loss_tokens: count
    .nullable()
    .describe("tokens that the losses and KLs are of; null on a dump, as they are"),
  l2_norm_in: measured.describe("E‖x‖"),
  l2_norm_out: measured.describe("E‖x̂‖"),
  l2_ratio: measured.describe("E[‖x̂‖/‖x‖]"),
  relative_reconstruction_bias: measured.describe("E‖x̂‖² / E[x·x̂]"),
  dead_fraction: measured,
  freq_over_1_percent: measured.describe("share of latents that fire on more than 1% of tokens"),
  freq_over_10_percent: measured,
  normalized_freq_over_1_percent: measured.describe("share of all firings that are theirs"),
  normalized_freq_over_10_percent: measured,
  density,
};

const learned = z.strictObject({
  steps: count,
  lr: measured,
  tokens: count.describe("tokens of all steps"),
  loss: z
    .strictObject({ parent: measured, start: measured, learned: measured, scratch: measured })
    .describe(
      "nats per held-out token: the parent, the grown model before and after learning, fresh weights of its size",
    ),
  held_out_tokens: count,
});

const expand = z.strictObject({
  ...header("expand"),
  method: text,
  exact: z.boolean(),
  parent: sizes,
  child: sizes,
  exactness: exactness.nullable(),
  off_image: measured.describe(
    "‖(I − E E⁺)H‖²/‖H‖² right after the expansion; null where E is the identity",
  ),
  copy_spread: measured,
  fit_r2: measured.describe(
    "lowest R² of the maps fitted where the method is not exact; null = nothing was fitted",
  ),
  learned: learned
    .nullable()
    .describe("losses around what a method learned; null for one that learns nothing"),
  dtype: z.enum(["f32", "f16", "bf16"]).describe("what the child's numbers are stored as"),
  bytes: count.describe("of the child's weights on disk"),
  memory_bytes: count.describe("memory at its peak: measured, estimated under --dry-run"),
  seconds: z.number().describe("measured from the start of the backend, estimated under --dry-run"),
  out: text,
  notes: z.array(text).describe("how relative sizes were rounded, and what was not measured"),
});

const output = {
  d_out: count.optional(),
  hook_name_out: text.optional(),
  skip_connection: z.boolean().optional().describe("these three of transcoders only"),
};

const carry = z.strictObject({
  ...header("carry"),
  out: text,
  d_in: count,
  d_sae: count,
  carried: count,
  appended: count,
  hook_name: text,
  ...output,
  map: z
    .enum(["exact", "published", "fitted", "copied"])
    .describe("exact; the growth method's own, near; fitted on text; the coordinates as they are"),
  r2: measured.describe("of that map on held-out tokens, where it is not exact"),
  check: z
    .strictObject({
      same_latents: measured.describe("share of (token, latent) firings that are the same"),
      fvu_parent: measured,
      fvu_parent_frame: measured.describe(
        "of the carried SAE, pulled back into the parent's frame",
      ),
    })
    .nullable()
    .describe("null without --text and --model"),
});

const saeFormat = z.enum(["saelens", "sparsify", "dictionary_learning"]);

function conversion<T extends string>(command: T) {
  return z.strictObject({
    ...header(command),
    out: text,
    from: saeFormat.describe("the library whose folder was read"),
    to: saeFormat.describe("the library whose folder was written"),
    architecture: text,
    d_in: count,
    d_sae: count,
    k: measured.describe("latents a token, where the SAE has such a number"),
    hook_name: text,
    model_name: text,
    ...output,
  });
}

const evaluate = z.strictObject({
  ...header("eval"),
  ...evaluation,
  saebench: text.nullable().describe("the file of SAEBench's core results, where one was written"),
  warnings: z
    .array(text)
    .describe("another model or tokenizer than the SAE's, a text that the tokenizer covers badly"),
});

const doctor = z.strictObject({
  ...header("doctor"),
  node: text,
  platform: text,
  cpus: count,
  memory_bytes: count,
  chosen: text.nullable(),
  reason: text,
  backends: z.array(
    z.strictObject({
      name: text,
      available: z.boolean(),
      reason: text,
      advice: text.nullable(),
      gflops: measured.describe("of a 512³ product"),
    }),
  ),
  checks: z
    .array(
      z.strictObject({ name: text, passed: z.boolean(), error: measured, tolerance: z.number() }),
    )
    .nullable()
    .describe("null without --check"),
});

const threshold = z.strictObject({ floor: z.number(), null_p99: measured, used: z.number() });
const cell = z.strictObject({ function: measured, match: measured, ci: interval });
const curve = z.array(z.strictObject({ tokens: count, fvu: z.number() }));

const classCounts = {
  unknown: count.describe("fire too rarely to tell"),
  shared: count,
  parent_only: count,
  child_only: count,
};
const crosscoderFigures = {
  architecture: text,
  d_sae: count,
  l0: z.number(),
  fvu_parent: z.number(),
  fvu_child: z.number(),
  latents: z.strictObject(classCounts).describe("after latent scaling"),
  by_norm: z.strictObject(classCounts).describe("by decoder norms alone"),
  aligned: count.describe("shared, and both parts in one direction through the map"),
  unmasked: z
    .strictObject({ shrinkage: count, decoupling: count })
    .describe("one model's by norms, shared by latent scaling, by artefact"),
  thresholds: z.strictObject({
    norm_ratio: threshold,
    nu_error: threshold,
    nu_reconstruction: threshold,
    cosine: threshold,
  }),
};
const crosscoder: z.ZodType<CrosscoderDocument> = z.strictObject({
  ...crosscoderFigures,
  verdicts: z
    .array(
      z.strictObject({
        verdict: text,
        ...classCounts,
        aligned: count.describe("of the shared"),
        none: count.describe("the crosscoder has no latent of their function"),
      }),
    )
    .describe("the parent's latents, by verdict and by what the crosscoder says of them"),
  persisted_shared: measured.describe("of the persisted that the crosscoder has, those shared"),
  died_parent_only: measured.describe("of the died that the crosscoder has, the parent's alone"),
  kappa: measured.describe("Cohen's, of persisted or died with shared or parent-only"),
  reinit: z.strictObject(crosscoderFigures).nullable().describe("against random weights"),
});
const returned = {
  returned: estimate.describe("cosine ≥ .9 to the parent's direction after training"),
  stayed: estimate.describe("cosine ≥ .9 to where they were put"),
  to_parent: z.number().describe("mean cosine to the parent's direction after training"),
};

const compared = z
  .strictObject({
    a: text,
    b: text,
    hook_a: text,
    hook_b: text,
    map: z.enum(["exact", "published", "fitted", "copied", "same"]),
    r2: measured.describe("of a map that is not exact, on rows that it was not fitted on"),
    unpaired_a: count.describe("rows that the other side lacks"),
    unpaired_b: count,
  })
  .describe("what `compare` compared; absent in a run");

type Comparison = Omit<ComparedDocument, "compared"> & Partial<Pick<ComparedDocument, "compared">>;

const compare: z.ZodType<Comparison> = z.strictObject({
  ...header("compare"),
  stage: text,
  name: text.describe("the SAE"),
  tokens: count,
  arms: z.array(
    z.strictObject({
      arm: text,
      role: z.enum([
        "carried",
        "carried-start",
        "frozen",
        "fresh",
        "scratch",
        "carried-scratch",
        "same-model",
        "fresh-parent",
        "reinit",
        "no-expand",
        "rotated",
        "perturbed",
        "perturbed-reinit",
        "continued",
      ]),
      sae: text,
      seed: z.int(),
      l0: measured,
      fvu: measured,
      ce_loss_score_zero: measured,
      matched: z.boolean().nullable().describe("L0 and FVU within 5% of the carried arm's"),
      function: measured.describe("share of eligible parent latents with a function match"),
      match: measured,
    }),
  ),
  thresholds: z.strictObject({
    cosine: threshold,
    correlation: threshold,
    containment: z.number(),
    gain: z
      .strictObject({ split: threshold, merged: threshold })
      .describe("R² of a set of pieces above the best single latent's"),
  }),
  counts: z.strictObject({
    unknown: count,
    persisted: count,
    carried_only: count,
    split: count.describe("its firings are shared out among several child latents"),
    absorbed: count.describe("it went on, other child latents took part of its firings"),
    merged: count.describe("it shares one child latent with other parent latents"),
    drifted_direction: count,
    drifted_meaning: count,
    uncertain: count,
    died: count,
    lost_by_sae: count,
    born: count.describe("child latents"),
    uncovered: count.describe("child latents"),
  }),
  eligible: count.describe("parent latents that are not unknown"),
  persisted: estimate,
  reinit_persisted: estimate.describe("the same rule on a random-weights child"),
  start_kept: estimate.describe("persisted or carried_only before any training"),
  inertia: z.strictObject({
    carried: measured,
    carried_scratch: measured,
    reinit: measured,
    rotated: measured.describe("the carried dictionary, turned as a whole before it trained on"),
  }),
  perturb_and_return: z
    .strictObject({
      turned: count.describe("latents turned by 45° to 60° that can be judged"),
      ...returned,
      unturned: measured.describe("the same latents, not turned, in the carried arm"),
      put_to_parent: z.number().describe("mean cosine to the parent's direction before training"),
      unturned_to_parent: measured.describe("of the same latents, not turned, after training"),
      reinit: z.strictObject(returned).nullable().describe("in a child with random weights"),
    })
    .nullable(),
  continuation: z
    .array(
      z.strictObject({
        times: z.number().describe("of the stage's SAE tokens; 0 = untrained"),
        function: measured,
        match: measured,
        ci: interval,
        to_start: measured.describe("share with a cosine ≥ τ to their start"),
        l0: measured,
        fvu: measured,
      }),
    )
    .nullable()
    .describe("the carried SAE by how long it trained on"),
  cells: z.strictObject({
    CG: cell.nullable(),
    FG: cell.nullable(),
    CS: cell.nullable(),
    FS: cell.nullable(),
    CP: cell.nullable(),
    FP: cell.nullable(),
  }),
  corrected: estimate.describe("(CG − CS)/(CP − CS)"),
  inheritance: z.strictObject({ value: measured, ci: interval, of_findable: measured }),
  carry_bonus: estimate.describe("(CG − CS) − (FG − FS)"),
  tokens_ratio: measured,
  unstable: z
    .strictObject({ latents: count, overlap: z.number(), null_p99: measured })
    .nullable()
    .describe("latents that fresh seeds rarely find: median overlap of the subspaces they live in"),
  off_image: measured,
  copy_spread: measured,
  histograms: z.strictObject({
    edges: z.array(z.number()),
    correlation: z.strictObject({
      carried: z.array(count),
      fresh: z.array(count),
      null: z.array(count),
    }),
    cosine: z.strictObject({
      carried: z.array(count),
      reinit: z.array(count),
      null: z.array(count),
    }),
  }),
  curves: z.strictObject({ carried: curve, fresh: z.array(curve) }).optional(),
  warnings: z.array(text),
  crosscoder: crosscoder.nullable().optional().describe("without the control: null"),
  compared: compared.optional(),
});

const question = z.strictObject({
  id: z.union([z.literal(1), z.literal(2), z.literal(3), z.literal(4), z.literal(5)]),
  question: text,
  answer: text,
  value: measured,
  ci: interval,
  unit: text.nullable(),
  evidence: z.array(z.strictObject({ file: text, field: text })),
  confident: z.boolean().describe("whether the evidence decides the question"),
});

const fiveQuestions: z.ZodType<FiveQuestions> = z.strictObject({
  ...header("five-questions"),
  questions: z.array(question).length(5),
});

const gate: z.ZodType<GateResult> = z.strictObject({
  kind: z.literal("held_out_loss"),
  value: measured,
  threshold: measured,
  passed: z.boolean(),
  message: text,
});

const map = z.looseObject({
  format: z.literal("sae-carry/map"),
  version: z.literal(1),
  method: text,
  exact: z.boolean(),
  hooks: z.array(
    z.strictObject({
      from: text,
      to: z.array(text),
      tensor: text,
      exact: z.boolean().describe("whether the map holds exactly right after the expansion"),
      published: z.boolean().describe("whether the method has a map here, exact or not"),
      fit: text.nullable().describe("key of the map fitted on text; null = none"),
      r2: measured.describe("of the fitted map, on held-out tokens"),
      r2_unfitted: measured.describe("of the method's map, or of the copied coordinates"),
    }),
  ),
  layers: z.record(text, z.array(count)).describe("layers of the child by layer of the parent"),
  heads: z.record(text, text).describe("names of tensors in map.safetensors"),
  neurons: z.record(text, text),
  experts: z.record(text, text).nullable(),
  fresh: z.array(text),
  exactness: exactness.nullable(),
  learned: learned.optional().describe("only of methods that learn"),
});

const runSae = z.strictObject({
  arm: text,
  sae: text,
  hook_name: text.nullable(),
  l0: measured,
  fvu: measured,
  ce_loss_score_zero: measured,
});

const runStage = z.strictObject({
  stage: text,
  model: sizes.nullable().describe("null where SAEs trained on activations"),
  tokens_trained: measured,
  held_out_loss: measured.describe("nats per token"),
  held_out_se: measured,
  stage_held_out_loss: measured.describe("on the stage's own text, where it has one"),
  unigram_entropy: measured,
  loss_after_expansion: measured,
  pca_fvu: measured.describe("FVU of PCA at the rank of the SAE's L0"),
  exactness: exactness.nullable(),
  saes: z.array(runSae),
  persistence: z
    .array(
      z.strictObject({
        sae: text,
        eligible: count,
        persisted: estimate,
        reinit_persisted: estimate.nullable(),
        corrected: estimate.nullable(),
      }),
    )
    .nullable()
    .describe("null for the base stage"),
  gates: z.array(gate).nullable().describe("null where the plan has none"),
});

const runFields = {
  run: text,
  seed: count,
  backend: text.nullable(),
  complete: z.boolean().describe("every stage of the plan is done"),
  report: text.nullable(),
  stages: z.array(runStage),
  five_questions: z.array(question).nullable(),
};

const train = z.strictObject({ ...header("train"), ...runFields });
const expandAndTrack = z.strictObject({ ...header("expand-and-track"), ...runFields });

const report = z.strictObject({ ...header("report"), run: text, out: text, bytes: count });

const dump = z.strictObject({
  ...header("dump"),
  out: text,
  files: z.array(text),
  layout: z.enum(["tokens", "saelens"]),
  rows: count,
  hooks: z.array(z.strictObject({ name: text, width: count })),
  saes: z.array(text),
  bytes: count,
});

const crosscoderSide = z.strictObject({
  model_name: text,
  hook_name: text,
  d_in: count,
  scale: z.number(),
});

const inspect = z.discriminatedUnion("kind", [
  z.strictObject({
    ...header("inspect"),
    path: text,
    kind: z.literal("model"),
    model: sizes,
    vocab_size: count,
    n_positions: count,
    hooks: z.array(text),
    tokenizer: z.boolean(),
  }),
  z.strictObject({
    ...header("inspect"),
    path: text,
    kind: z.literal("sae"),
    stored_as: saeFormat.describe("the library whose files they are"),
    architecture: text,
    d_in: count,
    d_sae: count,
    k: count.nullable(),
    hook_name: text,
    model_name: text,
    ...output,
    lineage: z.record(text, count).nullable().describe("latents by the stage they came from"),
  }),
  z.strictObject({
    ...header("inspect"),
    path: text,
    kind: z.literal("crosscoder"),
    architecture: text,
    d_in: count.describe("of both models together"),
    d_sae: count,
    k: count.nullable(),
    parent: crosscoderSide,
    child: crosscoderSide,
  }),
  z.strictObject({
    ...header("inspect"),
    path: text,
    kind: z.literal("arrow"),
    rows: count,
    batches: count,
    columns: z.array(z.strictObject({ name: text, type: text })),
    metadata: z.record(text, text),
  }),
  z.strictObject({
    ...header("inspect"),
    path: text,
    kind: z.literal("map"),
    method: text,
    exact: z.boolean(),
    parent: sizes,
    child: sizes,
    hooks: count,
    fresh: z.array(text),
    exactness: exactness.nullable(),
  }),
  z.strictObject({ ...header("inspect"), path: text, kind: z.literal("run"), ...runFields }),
]);

const survival = z.strictObject({
  points: z.array(
    z.strictObject({
      stage: text,
      tokens: count.describe("trained since the cohort's own stage ended"),
      at_risk: count,
      lost: count,
      censored: count.describe("left the count without being lost"),
      survival: z.number().describe("Kaplan–Meier"),
      ci: z.tuple([z.number(), z.number()]),
    }),
  ),
  half_life_tokens: measured.describe("at a constant risk per token; null below 5 losses"),
  half_life_ci: interval,
});

const history: z.ZodType<HistoryDocument> = z.strictObject({
  ...header("history"),
  saes: z.array(
    z.strictObject({
      name: text,
      cohorts: z.array(
        z.strictObject({
          stage: text.describe("whose SAE was the first to have these features"),
          features: count.describe("judged at least once"),
          persisted: survival.describe("lost = called anything but persisted"),
          not_died: survival.describe("lost = called died or lost_by_sae"),
        }),
      ),
    }),
  ),
});

const compareCost = z.strictObject({
  ...header("compare-cost"),
  rows: count,
  unpaired_a: count,
  unpaired_b: count,
  memory_bytes: count,
});

const dryRun = z.strictObject({
  ...header("dry-run"),
  command: text,
  out: text,
  stages: z.array(
    z.strictObject({
      stage: text,
      ...sizes.shape,
      lm_tokens: count.describe("over all arms"),
      sae_tokens: count.describe("over all arms"),
      saes: count.describe("SAEs trained"),
      flops: z.number(),
      optimizer_bytes: count.describe("AdamW's moments, kept beside the stage's model"),
    }),
  ),
  tasks: z.array(
    z.strictObject({
      task: text,
      title: text,
      flops: z.number(),
      memory_bytes: count.describe("at its peak"),
      seconds: measured,
    }),
  ),
  buffer: z
    .strictObject({ tokens: count, bytes: count })
    .nullable()
    .describe("activations that are kept to train SAEs on, in the task that keeps most"),
  total: z.strictObject({
    lm_tokens: count,
    sae_tokens: count,
    flops: z.number(),
    memory_bytes: count.describe("of one process"),
    disk_bytes: count,
    seconds: measured.describe("an order of magnitude"),
  }),
  notes: z.array(text),
});

const bench = z.strictObject({
  name: text,
  ours: z.number(),
  peer: measured,
  peer_name: text.nullable(),
  unit: text,
  ratio: measured,
  spread: interval,
  repeats: count,
  peak_mb: measured,
  peer_peak_mb: measured,
  sizes: z.record(text, z.number()),
  threads: count,
  backend: text,
  machine: text,
});

const failure = z.strictObject({
  error: z.strictObject({
    code: text,
    where: text,
    expected: text,
    got: text,
    hint: text.nullable(),
  }),
});

const growth = z.strictObject({
  ...header("growth"),
  stages: z.array(
    z.strictObject({
      stage: text,
      method: text.nullable(),
      exact: z.boolean().nullable(),
      params: count.nullable(),
      tokens: measured.describe("training tokens of this stage"),
      tokens_total: measured.describe("with all ancestors"),
      flops: measured.describe("training operations of this stage, those of the SAEs left out"),
      flops_total: measured,
      loss_before: measured.describe("held-out loss of the parent, nats per token"),
      loss_after_expansion: measured,
      loss_jump: measured,
      loss: measured.describe("after training on"),
      loss_se: measured,
    }),
  ),
  comparisons: z
    .array(
      z.strictObject({
        stage: text,
        arm: z.enum(["no-expand", "scratch"]),
        matched: z.enum(["tokens", "flops"]),
        at: z.number(),
        grown: z.number(),
        control: z.number(),
        difference: z.number().describe("grown − control; below zero, growing is ahead"),
        ci: interval,
        read: z
          .strictObject({ grown: z.number(), control: z.number() })
          .describe("where each curve was read, as a share of its whole training"),
      }),
    )
    .describe("the last stage against its controls, at matched amounts of training"),
}) satisfies z.ZodType<GrowthReport>;

/** A document's schema and what it is. */
export interface JsonDocument {
  readonly title: string;
  readonly about: string;
  readonly schema: z.ZodType;
}

/** Every document of the contract, by name. */
export const jsonDocuments: Readonly<Record<string, JsonDocument>> = {
  train: { title: "train", about: "what `train --json` prints", schema: train },
  "expand-and-track": {
    title: "expand-and-track",
    about: "what `expand-and-track --json` prints",
    schema: expandAndTrack,
  },
  "dry-run": {
    title: "--dry-run",
    about: "what `train` and `expand-and-track` print with `--dry-run --json`",
    schema: dryRun,
  },
  report: { title: "report", about: "what `report --json` prints", schema: report },
  expand: { title: "expand", about: "what `expand --json` prints", schema: expand },
  carry: { title: "carry", about: "what `carry --json` prints", schema: carry },
  import: {
    title: "import",
    about: "what `import --json` prints",
    schema: conversion("import"),
  },
  export: {
    title: "export",
    about: "what `export --json` prints",
    schema: conversion("export"),
  },
  eval: { title: "eval", about: "what `eval --json` prints", schema: evaluate },
  dump: { title: "dump", about: "what `dump --json` prints", schema: dump },
  inspect: {
    title: "inspect",
    about: "what `inspect --json` prints; `kind` says which of the forms",
    schema: inspect,
  },
  doctor: { title: "doctor", about: "what `doctor --json` prints", schema: doctor },
  compare: {
    title: "persistence.json",
    about:
      "the summary of a comparison, in each stage after the base; what `compare --json` prints",
    schema: compare,
  },
  "compare-cost": {
    title: "compare --dry-run",
    about: "what `compare` prints with `--dry-run --json`",
    schema: compareCost,
  },
  "five-questions": {
    title: "five-questions.json",
    about: "the essay's five questions, at the root of a run",
    schema: fiveQuestions,
  },
  growth: {
    title: "growth.json",
    about: "what each expansion cost and bought, at the root of a run",
    schema: growth,
  },
  history: {
    title: "history.json",
    about: "how long features last over the stages, at the root of a run",
    schema: history,
  },
  map: { title: "map.json", about: "an expansion map, beside map.safetensors", schema: map },
  bench: { title: "bench", about: "one line per benchmark", schema: bench },
  error: { title: "errors", about: "any command that ends badly under `--json`", schema: failure },
};

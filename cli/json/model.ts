// What documents say of models: sizes, how far a child's function is from its parent's, what a growth method learned.
import { z } from "zod";
import { count, measured, text } from "./values.ts";

/** Sizes of a model. */
export const sizes: z.ZodObject = z.strictObject({
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

/** A child held against its parent on the same tokens. */
export const exactness: z.ZodType = z
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

/** Losses around what a growth method learned. */
export const learned: z.ZodType = z.strictObject({
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

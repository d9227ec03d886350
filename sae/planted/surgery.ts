/**
 * @file Planted truth at the level of models (methods.md §6): a direction written for chosen tokens, a direction that
 * nothing writes any more, a head that is silent. GPT-2 only: its parameters are edited by name. Models come and go as
 * new ones; none is changed in place.
 */
import type { HostTensor } from "../../src/io/index.ts";
import type { Gpt2Config, HostModel } from "../../src/models/index.ts";

/** A GPT-2 in ordinary memory. */
type Gpt2 = HostModel<Gpt2Config>;

/** The model with `direction` [n_embd] added to the embeddings of some tokens or positions. A tied unembedding changes with the tokens'. */
export function injectDirection(
  model: Gpt2,
  direction: Float64Array,
  into: "tokens" | "positions",
  chosen: Iterable<number>,
): Gpt2 {
  const d = direction.length;
  const table = into === "tokens" ? "transformer.wte.weight" : "transformer.wpe.weight";
  return edited(model, (name, rows) => {
    if (name !== table) return;
    for (const row of chosen) {
      for (let a = 0; a < d; a++) rows[row * d + a] += direction[a];
    }
  });
}

/** The model in which nothing writes along the unit vector `direction` [n_embd]: W ← W (I − u uᵀ) for every matrix and bias that writes to the residual stream. */
export function removeDirection(model: Gpt2, direction: Float64Array): Gpt2 {
  const d = direction.length;
  const writers = /(wte|wpe|attn\.c_proj|mlp\.c_proj)\.(weight|bias)$/;
  return edited(model, (name, rows) => {
    if (!writers.test(name)) return;
    for (let at = 0; at < rows.length; at += d) {
      let along = 0;
      for (let a = 0; a < d; a++) along += rows[at + a] * direction[a];
      for (let a = 0; a < d; a++) rows[at + a] -= along * direction[a];
    }
  });
}

/** The model whose heads `heads` of `layer` write nothing: their rows of the output matrix are zero. */
export function silenceHeads(model: Gpt2, layer: number, heads: readonly number[]): Gpt2 {
  const { n_embd, n_head } = model.config;
  const size = (n_embd / n_head) * n_embd;
  return edited(model, (name, rows) => {
    if (name !== `transformer.h.${layer}.attn.c_proj.weight`) return;
    for (const head of heads) rows.fill(0, head * size, (head + 1) * size);
  });
}

function edited(model: Gpt2, change: (name: string, rows: Float32Array) => void): Gpt2 {
  const weights = new Map<string, HostTensor>();
  for (const [name, { shape, data }] of model.weights) {
    if (!(data instanceof Float32Array)) throw new Error(`internal: ${name} is not float32`);
    const copy = data.slice();
    change(name, copy);
    weights.set(name, { shape, data: copy });
  }
  return { ...model, weights };
}

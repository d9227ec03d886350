/**
 * @file What a person needs to see of each latent: how often and how strongly it fires, where it fires
 * most (with the tokens around), and which tokens its direction speaks for. The rows of features.arrow.
 * Token logits are those of the direct path alone: W_dec, centred as the final norm does it, times the
 * norm's gain and the unembedding, centred over the vocabulary (the logit lens; nostalgebraist 2020).
 */
import { linear, tf } from "../src/engine/index.ts";
import { type ColumnSpec, float32, int32, list, struct, utf8 } from "../src/io/index.ts";
import { finalGain, type Model, modelSizes, unembedding } from "../src/models/index.ts";
import type { Lineage } from "./lineage.ts";
import { outputHook, type Sae, type SparseCodes } from "./sae.ts";

/** A place where a latent fires, with the tokens around it. */
export interface LatentContext {
  /** Index of the document in the corpus. */
  readonly doc: number;
  /** Position in the document of the token on which the latent fires. */
  readonly pos: number;
  readonly tokens: readonly string[];
  /** The latent's activation on each of those tokens. */
  readonly activations: readonly number[];
}

/** A token and its logit. */
export interface TokenLogit {
  readonly token: string;
  readonly value: number;
}

/** One latent. */
export interface LatentFeature {
  /** Share of the tokens on which it fires. */
  readonly density: number;
  /** Over the tokens on which it fires; 0 where there are none. */
  readonly mean_activation: number;
  readonly max_activation: number;
  /** Strongest first, no two from one sequence, none on the <|endoftext|> that begins it. */
  readonly top_contexts: readonly LatentContext[];
  /** Empty where the SAE doesn't write to the residual stream. */
  readonly top_logits: readonly TokenLogit[];
  readonly bottom_logits: readonly TokenLogit[];
}

/** The token rows that the codes are of: `context` − `skip` rows of each sequence, in order. */
export interface FeatureTokens {
  readonly ids: Int32Array; // [nSeq · context]
  readonly doc: Int32Array; // [nSeq]
  readonly start: Int32Array; // [nSeq]
  readonly context: number;
  /** Leading tokens of each sequence that have no row. */
  readonly skip: number;
  /** Printable text of each token id. */
  readonly text: readonly string[];
}

/** How much is kept. */
export interface FeatureOptions {
  readonly contexts?: number;
  /** Tokens shown before and after the one that fires. */
  readonly before?: number;
  readonly after?: number;
  readonly logits?: number;
}

/**
 * Describes every latent of `sae` from its codes on `tokens`. `model` is the one it reads.
 * Errors: internal when the codes are not of those tokens.
 */
export async function latentFeatures(
  sae: Sae,
  codes: SparseCodes,
  tokens: FeatureTokens,
  model: Model,
  { contexts = 5, before = 10, after = 5, logits = 8 }: FeatureOptions = {},
): Promise<LatentFeature[]> {
  const { d_sae } = sae.cfg;
  const perSequence = tokens.context - tokens.skip;
  if (codes.nTokens !== tokens.doc.length * perSequence) {
    throw new Error(
      `internal: codes of ${codes.nTokens} tokens on ${tokens.doc.length} sequences of ${perSequence}`,
    );
  }
  const count = new Int32Array(d_sae);
  const sum = new Float64Array(d_sae);
  const max = new Float64Array(d_sae);
  const best: Firing[][] = Array.from({ length: d_sae }, () => []);
  for (let row = 0; row < codes.nTokens; row++) {
    const sequence = Math.floor(row / perSequence);
    // the first token of a sequence is <|endoftext|>, not text
    const isText = tokens.skip > 0 || row % perSequence > 0;
    for (let p = codes.rowStart[row]; p < codes.rowStart[row + 1]; p++) {
      const latent = codes.latent[p];
      const value = codes.value[p];
      count[latent]++;
      sum[latent] += value;
      if (value > max[latent]) max[latent] = value;
      if (isText) keepBest(best[latent], { row, sequence, value }, contexts);
    }
  }
  const speaks = await tokenLogits(sae, model, tokens.text, logits);
  return Array.from({ length: d_sae }, (_, latent) => ({
    density: count[latent] / codes.nTokens,
    mean_activation: count[latent] === 0 ? 0 : sum[latent] / count[latent],
    max_activation: max[latent],
    top_contexts: best[latent].map((firing) =>
      contextOf(firing, latent, codes, tokens, before, after),
    ),
    ...speaks[latent],
  }));
}

/** features.arrow's columns. */
export function featureColumns(features: readonly LatentFeature[], lineage: Lineage): ColumnSpec[] {
  const context = struct({
    doc: int32,
    pos: int32,
    tokens: list(utf8),
    activations: list(float32),
  });
  const logit = struct({ token: utf8, value: float32 });
  const floats = (name: "density" | "mean_activation" | "max_activation"): ColumnSpec => ({
    name,
    type: float32,
    values: Float32Array.from(features, (feature) => feature[name]),
  });
  return [
    { name: "latent", type: int32, values: Int32Array.from(features.keys()) },
    floats("density"),
    floats("mean_activation"),
    floats("max_activation"),
    { name: "top_contexts", type: list(context), values: features.map((f) => f.top_contexts) },
    { name: "top_logits", type: list(logit), values: features.map((f) => f.top_logits) },
    { name: "bottom_logits", type: list(logit), values: features.map((f) => f.bottom_logits) },
    { name: "lineage_stage", type: utf8, values: lineage.stage },
    { name: "lineage_parent", type: int32, values: lineage.parent },
  ];
}

interface Firing {
  readonly row: number;
  readonly sequence: number;
  readonly value: number;
}

/** Keeps the strongest firings, one of a sequence, strongest first; ties go to the earlier row. */
function keepBest(kept: Firing[], firing: Firing, most: number): void {
  if (most === 0) return;
  if (kept.length === most && kept[most - 1].value >= firing.value) return;
  const same = kept.findIndex(({ sequence }) => sequence === firing.sequence);
  if (same >= 0) {
    if (kept[same].value >= firing.value) return;
    kept.splice(same, 1);
  }
  let at = kept.length;
  while (at > 0 && kept[at - 1].value < firing.value) at--;
  kept.splice(at, 0, firing);
  if (kept.length > most) kept.pop();
}

function contextOf(
  { row, sequence }: Firing,
  latent: number,
  codes: SparseCodes,
  { ids, doc, start, context, skip, text }: FeatureTokens,
  before: number,
  after: number,
): LatentContext {
  const perSequence = context - skip;
  const at = skip + (row % perSequence);
  const from = Math.max(1, at - before);
  const to = Math.min(context, at + after + 1);
  const tokens: string[] = [];
  const activations: number[] = [];
  for (let t = from; t < to; t++) {
    tokens.push(text[ids[sequence * context + t]]);
    activations.push(t < skip ? 0 : activationAt(codes, sequence * perSequence + t - skip, latent));
  }
  return { doc: doc[sequence], pos: start[sequence] + at - 1, tokens, activations };
}

function activationAt(codes: SparseCodes, row: number, latent: number): number {
  for (let p = codes.rowStart[row]; p < codes.rowStart[row + 1]; p++) {
    if (codes.latent[p] === latent) return codes.value[p];
  }
  return 0;
}

/** Hooks whose values are, or are added to, the residual stream. */
const residual = /(^|\.)hook_(embed|resid_pre|resid_mid|resid_post|attn_out|mlp_out)$/;

/** The tokens with the largest and the smallest logits of each decoder direction; none where it isn't in the residual stream. */
async function tokenLogits(
  { cfg, W_dec }: Sae,
  model: Model,
  text: readonly string[],
  count: number,
): Promise<{ top_logits: TokenLogit[]; bottom_logits: TokenLogit[] }[]> {
  const { d_out, d_sae } = cfg;
  if (!residual.test(outputHook(cfg))) {
    return Array.from({ length: d_sae }, () => ({ top_logits: [], bottom_logits: [] }));
  }
  const values = tf.tidy(() => {
    const gain = finalGain(model);
    const rows = tf.tensor2d(W_dec, [d_sae, d_out]);
    const directions = tf.mul(tf.sub(rows, tf.mean(rows, 1, true)), gain) as tf.Tensor2D;
    const logits = linear(directions, tf.transpose(unembedding(model)));
    return tf.sub(logits, tf.mean(logits, 1, true));
  });
  const logits = (await values.data()) as Float32Array;
  values.dispose();
  // a model may have more ids than its tokenizer has tokens
  const vocab = modelSizes(model.config).vocabSize;
  const order = Array.from({ length: Math.min(vocab, text.length) }, (_, id) => id);
  return Array.from({ length: d_sae }, (_, latent) => {
    const row = logits.subarray(latent * vocab, (latent + 1) * vocab);
    order.sort((a, b) => row[b] - row[a] || a - b);
    const entry = (id: number): TokenLogit => ({ token: text[id], value: row[id] });
    return {
      top_logits: order.slice(0, count).map(entry),
      bottom_logits: order
        .slice(Math.max(0, order.length - count))
        .reverse()
        .map(entry),
    };
  });
}

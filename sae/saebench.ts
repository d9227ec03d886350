/**
 * @file An evaluation under the names and in the layout of SAEBench's core results (Karvonen et al. 2025,
 * eval_type_id "core"), so that it can be laid beside theirs. Definitions are those of evaluate.ts: where SAEBench
 * 0.6.0 computes something else under the same name, docs/methods.md says so. As there, -1 stands for what has no
 * finite value, and zero ablation is the one that scores refer to.
 */
import { bestMatches } from "../src/engine/index.ts";
import { sha256 } from "../src/io/index.ts";
import type { SaeEvaluation } from "./evaluate.ts";
import { rowNorms } from "./kernels/row-norms.ts";
import { transposed } from "./kernels/transpose.ts";
import type { Sae, SparseCodes } from "./sae.ts";

/** How often each latent fires: on how many tokens, and in how many sequences. */
export interface LatentCounts {
  readonly firings: Int32Array; // [d_sae]
  readonly sequences: Int32Array; // [d_sae]
  /** Adds codes of whole sequences, rows with a 1 in `leftOut` left out. */
  add(codes: SparseCodes, leftOut: Uint8Array): void;
}

/** Counts, none yet, of latents of sequences with `rows` rows each. */
export function latentCounts(dSae: number, rows: number): LatentCounts {
  const [firings, sequences] = [new Int32Array(dSae), new Int32Array(dSae)];
  const last = new Int32Array(dSae).fill(-1);
  let before = 0;
  return {
    firings,
    sequences,
    add({ nTokens, rowStart, latent }, leftOut) {
      for (let row = 0; row < nTokens; row++) {
        if (leftOut[row] === 1) continue;
        const sequence = before + Math.floor(row / rows);
        for (let at = rowStart[row]; at < rowStart[row + 1]; at++) {
          const i = latent[at];
          firings[i]++;
          if (last[i] !== sequence) sequences[i]++;
          last[i] = sequence;
        }
      }
      before += nTokens / rows;
    },
  };
}

/** One latent of `eval_result_details`. */
export interface CoreLatent {
  readonly index: number;
  /** Firings over the sequences in which it fires. */
  readonly consistent_activation_heuristic: number;
  readonly encoder_bias: number;
  readonly encoder_decoder_cosine_sim: number;
  readonly encoder_norm: number;
  readonly feature_density: number;
  /** Highest cosine of its row with any other latent's. */
  readonly max_decoder_cosine_sim: number;
  readonly max_encoder_cosine_sim: number;
}

/** `eval_result_metrics`: groups of figures by name. */
export type CoreMetrics = Readonly<Record<string, Readonly<Record<string, number>>>>;

/** What the results are of. */
export interface CoreSource {
  /** Where the SAE lies, and the text. */
  readonly sae: string;
  readonly dataset: string;
  readonly contextSize: number;
  /** Sequences per forward pass, which explained_variance_legacy depends on. */
  readonly batchSequences: number;
  /** Milliseconds since 1970. */
  readonly time: number;
  /** Of this program. */
  readonly version: string;
}

/** A file of SAEBench's core results. */
export interface CoreDocument {
  readonly eval_type_id: "core";
  readonly eval_config: Readonly<Record<string, string | number | boolean>>;
  readonly eval_id: string;
  readonly datetime_epoch_millis: number;
  readonly eval_result_metrics: CoreMetrics;
  readonly eval_result_details: readonly CoreLatent[];
  readonly eval_result_unstructured: Readonly<Record<string, never>>;
  readonly sae_bench_commit_hash: string;
  readonly sae_lens_id: string;
  readonly sae_lens_release_id: string;
  readonly sae_lens_version: string;
  readonly sae_cfg_dict: Sae["cfg"];
}

/** The document of one SAE from its figures and its latents' counts. */
export async function coreDocument(
  sae: Sae,
  figures: SaeEvaluation,
  counts: LatentCounts,
  { sae: id, dataset, contextSize, batchSequences, time, version }: CoreSource,
): Promise<CoreDocument> {
  const details = await coreLatents(sae, counts, figures.tokens);
  const metrics = coreMetrics(figures, details);
  const passes = (tokens: number) => Math.ceil(tokens / (batchSequences * contextSize));
  return {
    eval_type_id: "core",
    eval_config: {
      model_name: sae.cfg.model_name,
      batch_size_prompts: batchSequences,
      n_eval_reconstruction_batches: passes(figures.loss_tokens),
      n_eval_sparsity_variance_batches: passes(figures.tokens),
      exclude_special_tokens_from_reconstruction: figures.first_tokens_excluded,
      dataset,
      context_size: contextSize,
      compute_kl: true,
      compute_ce_loss: true,
      compute_l2_norms: true,
      compute_sparsity_metrics: true,
      compute_variance_metrics: true,
      compute_featurewise_density_statistics: true,
      compute_featurewise_weight_based_metrics: true,
      llm_dtype: "float32",
    },
    eval_id: sha256(JSON.stringify([id, dataset, metrics])),
    datetime_epoch_millis: time,
    eval_result_metrics: metrics,
    eval_result_details: details,
    eval_result_unstructured: {},
    sae_bench_commit_hash: `none, computed by sae-carry ${version}`,
    sae_lens_id: id,
    sae_lens_release_id: "none",
    sae_lens_version: "none",
    sae_cfg_dict: sae.cfg,
  };
}

/** The metrics of all latents together. */
export function coreMetrics(figures: SaeEvaluation, latents: readonly CoreLatent[]): CoreMetrics {
  const mean = (of: (latent: CoreLatent) => number): number =>
    latents.reduce((sum, latent) => sum + of(latent), 0) / latents.length;
  return {
    model_behavior_preservation: {
      kl_div_score: known(figures.kl_div_score),
      kl_div_with_ablation: figures.kl_div_with_ablation,
      kl_div_with_sae: figures.kl_div_with_sae,
    },
    model_performance_preservation: {
      ce_loss_score: known(figures.ce_loss_score_zero),
      ce_loss_with_ablation: figures.ce_zero,
      ce_loss_with_sae: figures.ce_sae,
      ce_loss_without_sae: figures.ce_orig,
    },
    reconstruction_quality: {
      explained_variance: known(figures.explained_variance),
      explained_variance_legacy: known(figures.explained_variance_legacy),
      mse: figures.mse,
      cossim: figures.cossim,
    },
    shrinkage: {
      l2_norm_in: figures.l2_norm_in,
      l2_norm_out: figures.l2_norm_out,
      l2_ratio: known(figures.l2_ratio),
      relative_reconstruction_bias: known(figures.relative_reconstruction_bias),
    },
    sparsity: { l0: figures.l0, l1: figures.l1 },
    token_stats: {
      total_tokens_eval_reconstruction: figures.loss_tokens,
      total_tokens_eval_sparsity_variance: figures.tokens,
    },
    misc_metrics: {
      freq_over_1_percent: figures.freq_over_1_percent,
      freq_over_10_percent: figures.freq_over_10_percent,
      normalized_freq_over_1_percent: figures.normalized_freq_over_1_percent,
      normalized_freq_over_10_percent: figures.normalized_freq_over_10_percent,
      average_max_encoder_cosine_sim: mean((latent) => latent.max_encoder_cosine_sim),
      average_max_decoder_cosine_sim: mean((latent) => latent.max_decoder_cosine_sim),
      frac_alive: 1 - figures.dead_fraction,
    },
  };
}

async function coreLatents(
  sae: Sae,
  { firings, sequences }: LatentCounts,
  tokens: number,
): Promise<CoreLatent[]> {
  const { d_in, d_out, d_sae } = sae.cfg;
  const encoder = transposed(sae.W_enc, d_in, d_sae); // [d_sae, d_in]
  const norms = rowNorms(encoder, d_in);
  const decoderNorms = rowNorms(sae.W_dec, d_out);
  const [enc, dec] = [await highestCosines(encoder, d_in), await highestCosines(sae.W_dec, d_out)];
  const bias = sae.gate?.b_mag ?? sae.b_enc;
  return Array.from({ length: d_sae }, (_, i) => {
    // what a transcoder reads and what it writes are no two directions of one space
    let inner = sae.cfg.hook_name_out === null ? 0 : Number.NaN;
    for (let j = i * d_in; j < (i + 1) * d_in; j++) inner += encoder[j] * sae.W_dec[j];
    return {
      index: i,
      consistent_activation_heuristic: known(firings[i] / sequences[i]),
      encoder_bias: bias[i],
      encoder_decoder_cosine_sim: known(inner / (norms[i] * decoderNorms[i])),
      encoder_norm: norms[i],
      feature_density: firings[i] / tokens,
      max_decoder_cosine_sim: known(dec[i]),
      max_encoder_cosine_sim: known(enc[i]),
    };
  });
}

/** Each row's highest cosine with any other row of `rows` [n, width]; NaN where there is none. */
async function highestCosines(rows: Float32Array, width: number): Promise<Float64Array> {
  const { index, value } = await bestMatches(rows, rows, width, { top: 2 });
  // a row is its own best match, but for others that are the same
  return Float64Array.from({ length: rows.length / width }, (_, i) =>
    index[2 * i] === i ? value[2 * i + 1] : value[2 * i],
  );
}

function known(value: number | null): number {
  return value !== null && Number.isFinite(value) ? value : -1;
}

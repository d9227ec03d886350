/**
 * @file Training a crosscoder: the SAE trainer on joined rows. BatchTopK selects by activations while a joined decoder
 * row keeps norm one (the norm of both parts together); under L1 the penalty is Σ f_i (‖part P‖ + ‖part C‖), as in
 * Lindsey et al. 2024, steered to k latents a token. A fresh latent has random parts of equal norm: nothing says
 * beforehand which directions of the models belong together, no expansion map and no dictionary of either.
 */
import type { Rng } from "../../src/engine/index.ts";
import type { HostTensor } from "../../src/io/index.ts";
import { initialiseSae } from "../initialise.ts";
import { setRowNorms } from "../kernels/row-norms.ts";
import { transposeInto } from "../kernels/transpose.ts";
import { type Sae, type SaeConfig, saeConfig } from "../sae.ts";
import {
  type SequenceReader,
  type SharedActivationOptions,
  sharedActivations,
} from "../shared-activations.ts";
import type { SaeTrainOptions } from "../training/options.ts";
import { createSaeTrainer, type SaeTrainer } from "../training/trainer.ts";
import type { Crosscoder, CrosscoderArchitecture, CrosscoderSide } from "./crosscoder.ts";
import { pairedSequences, sideScales } from "./paired-sequences.ts";

/** What a crosscoder is to be. */
export interface CrosscoderConfig {
  readonly architecture: CrosscoderArchitecture;
  readonly d_sae: number;
  /** Latents a token: BatchTopK's mean, or what the L1 penalty is steered to. */
  readonly k: number;
  /** Names of the models. */
  readonly parent: string;
  readonly child: string;
  /** Tokens per sequence, and leading ones that the readers leave out; stored. Default 0 and 1. */
  readonly context_size?: number;
  readonly first_tokens_excluded?: number;
  readonly aux_coefficient?: number;
}

/** How it is trained. */
export type CrosscoderOptions = Omit<Partial<SaeTrainOptions>, "partWidths" | "targetL0"> &
  Pick<SaeTrainOptions, "steps"> &
  SharedActivationOptions & { readonly state?: ReadonlyMap<string, HostTensor> };

/** A crosscoder in training; `step` and `state` are those of any trainer. */
export interface CrosscoderTrainer extends Omit<SaeTrainer, "saes"> {
  /** A copy of the crosscoder as it stands. */
  crosscoder(): Crosscoder;
  /** Frees the buffer of activations. */
  dispose(): void;
}

const jobName = "crosscoder";

/**
 * A trainer of a crosscoder on two readers of the same sequences, one hook each, at its start or, with `state`, where
 * that was taken. Errors: UsageError where the readers' rows don't pair, or the state is another's.
 */
export async function createCrosscoderTrainer(
  parent: SequenceReader,
  child: SequenceReader,
  config: CrosscoderConfig,
  { batchSize, rng, chunkBatches, maxNormRatio, ...options }: CrosscoderOptions,
): Promise<CrosscoderTrainer> {
  const scales = await sideScales(parent, child);
  const reader = pairedSequences(parent, child, scales);
  const [{ name: hook_name, width: d_in }] = reader.hooks;
  const stream = sharedActivations(reader, {
    ...{ batchSize, rng: rng.fork("rows") },
    ...(chunkBatches !== undefined && { chunkBatches }),
    ...(maxNormRatio !== undefined && { maxNormRatio }),
  });
  const source = stream.at(hook_name);
  const { architecture, d_sae, k } = config;
  const cfg = saeConfig({
    ...{ architecture, d_in, d_sae, hook_name },
    k: architecture === "batchtopk" ? k : null,
    model_name: `${config.parent} & ${config.child}`,
    context_size: config.context_size ?? 0,
    first_tokens_excluded: config.first_tokens_excluded ?? 1,
    ...(config.aux_coefficient !== undefined && { aux_coefficient: config.aux_coefficient }),
  });
  const widths = [parent.hooks[0].width, child.hooks[0].width];
  const first = await source.batch(0);
  const sample = (await first.data()) as Float32Array;
  first.dispose();
  const init = initialiseCrosscoder(cfg, widths, sample, rng.fork("initialise"));
  const trainer = await createSaeTrainer(
    source,
    [{ name: jobName, config: cfg, init, rng, pinNorms: false }],
    { ...options, targetL0: k, partWidths: architecture === "standard" ? widths : null },
  );
  const side = (model_name: string, at: SequenceReader, scale: number): CrosscoderSide => ({
    model_name,
    hook_name: at.hooks[0].name,
    d_in: at.hooks[0].width,
    scale,
  });
  return {
    get taken() {
      return trainer.taken;
    },
    step: () => trainer.step(),
    state: () => trainer.state(),
    crosscoder: () => ({
      sae: trainer.saes().get(jobName) as Sae,
      parent: side(config.parent, parent, scales[0]),
      child: side(config.child, child, scales[1]),
      tokens: trainer.taken * batchSize,
    }),
    dispose: () => stream.dispose(),
  };
}

/** An untrained joined SAE: directions uniform on each side's sphere, both parts of norm 1/√2, the encoder their transpose. */
function initialiseCrosscoder(
  cfg: SaeConfig,
  widths: readonly number[],
  sample: Float32Array,
  rng: Rng,
): Sae {
  const { d_in, d_sae } = cfg;
  const sae = initialiseSae(cfg, sample, rng);
  const norms = new Float32Array(d_sae).fill(Math.SQRT1_2);
  let from = 0;
  for (const width of widths) {
    const part = new Float32Array(d_sae * width);
    for (let i = 0; i < d_sae; i++) {
      part.set(sae.W_dec.subarray(i * d_in + from, i * d_in + from + width), i * width);
    }
    setRowNorms(part, norms);
    for (let i = 0; i < d_sae; i++) {
      sae.W_dec.set(part.subarray(i * width, (i + 1) * width), i * d_in + from);
    }
    from += width;
  }
  transposeInto(sae.W_dec, d_sae, d_in, sae.W_enc);
  return sae;
}

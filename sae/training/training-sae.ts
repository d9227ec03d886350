/**
 * @file An SAE while it is trained: weights in the scaled frame with the encoder latent-major (so
 * that a latent's weights, gradients and moments are rows), Adam's moments, dead-latent counters,
 * and conversion to and from the SAE that is stored and the tensors of a training state.
 */
import { type HostTensor, UsageError } from "../../src/io/index.ts";
import { architectures, type SaeArchitecture } from "../architectures.ts";
import { equaliseThresholds, foldDecoderNorms } from "../fold.ts";
import { scaleFrame } from "../frame.ts";
import { rowNorms } from "../kernels/row-norms.ts";
import { transposeInto } from "../kernels/transpose.ts";
import type { Gate, Sae, SaeConfig } from "../sae.ts";
import { type SaeTrainOptions, saeTrainDefaults } from "./options.ts";

/** The four trained arrays, or their gradients or moments. */
export interface SaeArrays {
  readonly W_enc: Float32Array; // [d_sae, d_in], latent-major
  readonly b_enc: Float32Array; // [d_sae]
  readonly W_dec: Float32Array; // [d_sae, d_out]
  readonly b_dec: Float32Array; // [d_out]
}

/** The trained arrays by name. */
export const saeArrayNames: readonly (keyof SaeArrays)[] = ["W_enc", "b_enc", "W_dec", "b_dec"];

/** Adam's ε. */
export const adamEpsilon = 1e-8;

/** An array that only some SAEs train, with its moments. */
export interface OwnArray {
  readonly weights: Float32Array;
  readonly m: Float32Array;
  readonly v: Float32Array;
}

/** The arrays an architecture trains beside the four common ones, all [d_sae]. */
const ownNames: Partial<Record<SaeArchitecture, readonly string[]>> = {
  gated: ["r_mag", "c_mag"],
  jumprelu: ["threshold"],
};

/** Shapes of all arrays that an SAE trains beside the four common ones, by name. */
function ownShapes(cfg: SaeConfig): Record<string, readonly number[]> {
  const { architecture, d_in, d_out, d_sae, skip_connection } = cfg;
  const ofLatents = (ownNames[architecture] ?? []).map((name) => [name, [d_sae]] as const);
  return {
    ...Object.fromEntries(ofLatents),
    ...(skip_connection && { W_skip: [d_out, d_in] }),
  };
}

/** An SAE in training; the arrays are updated in place. */
export interface TrainingSae {
  readonly cfg: SaeConfig;
  readonly weights: SaeArrays;
  readonly m: SaeArrays;
  readonly v: SaeArrays;
  /** Norms at which the decoder rows are held or, where they are free, what they are in this step. */
  readonly norms: Float32Array; // [d_sae]
  /** Tokens since each latent last fired. */
  readonly sinceFired: Float64Array; // [d_sae]
  /** Arrays of its kind alone, by name: `threshold` of jumprelu, `r_mag` and `c_mag` of gated, `W_skip` of a skip connection. */
  readonly own: Readonly<Record<string, OwnArray>>;
  /** Moving average of the smallest selected pre-activation; 0 before the first step. */
  threshold: number;
  /** Coefficient of the L1 penalty, which may follow a target. */
  lambda: number;
}

/**
 * Whether the decoder's norms are held. A transcoder's, whose decoder begins at zero, are free as in sparsify: held at
 * one from the first step on they cost a fresh one a fifth to a half of its FVU in some hundred steps.
 */
export function holdsNorms({ hook_name_out }: SaeConfig): boolean {
  return hook_name_out === null;
}

/** Zeros in the shapes of an SAE's arrays. */
export function zeroArrays({
  d_in,
  d_out,
  d_sae,
}: Pick<SaeConfig, "d_in" | "d_out" | "d_sae">): SaeArrays {
  return {
    W_enc: new Float32Array(d_sae * d_in),
    b_enc: new Float32Array(d_sae),
    W_dec: new Float32Array(d_sae * d_out),
    b_dec: new Float32Array(d_out),
  };
}

/** Factors from raw activations to the frame in which SAEs are trained. */
export interface TrainingScale {
  /** Of what is read. */
  readonly input: number;
  /** Of what is reconstructed: the same for an SAE. */
  readonly target: number;
}

/**
 * Brings an SAE into training, scaled by `scale`. With `pinNorms` its decoder norms stay what they
 * are (a carried SAE: folding would change what is selected); otherwise they are folded to one, but for a
 * transcoder's, which are free.
 * Thresholds that differ between latents are folded into one, in both cases.
 */
export function enterTraining(
  sae: Sae,
  scale: number | TrainingScale,
  pinNorms: boolean,
  { l1Coefficient }: Pick<SaeTrainOptions, "l1Coefficient"> = saeTrainDefaults,
): TrainingSae {
  const { cfg } = sae;
  const { selects, k } = architectures[cfg.architecture];
  const { input, target } = scaleOf(scale);
  const inFrame = scaleFrame(sae, input, target);
  const isKept = pinNorms || selects === "largest" || !holdsNorms(cfg);
  const unit = isKept ? inFrame : foldDecoderNorms(inFrame);
  // one moving threshold serves all latents of a batchtopk SAE
  const scaled = k === "mean" ? equaliseThresholds(unit) : unit;
  const W_enc = new Float32Array(scaled.W_enc.length);
  transposeInto(scaled.W_enc, cfg.d_in, cfg.d_sae, W_enc);
  const W_dec = scaled.W_dec.slice();
  return {
    cfg,
    weights: { W_enc, b_enc: scaled.b_enc.slice(), W_dec, b_dec: scaled.b_dec.slice() },
    m: zeroArrays(cfg),
    v: zeroArrays(cfg),
    norms: rowNorms(W_dec, cfg.d_out),
    sinceFired: new Float64Array(cfg.d_sae),
    own: ownArrays(scaled),
    threshold: k === "mean" && scaled.threshold ? scaled.threshold[0] : 0,
    lambda: l1Coefficient,
  };
}

function scaleOf(scale: number | TrainingScale): TrainingScale {
  return typeof scale === "number" ? { input: scale, target: scale } : scale;
}

function ownArrays({ cfg, threshold, gate, b_enc, W_skip }: Sae): Record<string, OwnArray> {
  const fresh = (weights: Float32Array): OwnArray => ({
    weights,
    m: new Float32Array(weights.length),
    v: new Float32Array(weights.length),
  });
  const skip = W_skip && { W_skip: fresh(W_skip.slice()) };
  if (cfg.architecture === "jumprelu") {
    return { threshold: fresh((threshold as Float32Array).slice()), ...skip };
  }
  if (!gate) return { ...skip };
  const { r_mag, b_mag } = gate;
  const c_mag = b_mag.map((b, i) => b - Math.exp(r_mag[i]) * b_enc[i]);
  return { r_mag: fresh(r_mag.slice()), c_mag: fresh(c_mag), ...skip };
}

/** The SAE as it stands, back in the frame of the raw activations; a copy. */
export function leaveTraining(
  { cfg, weights, threshold, own }: TrainingSae,
  scale: number | TrainingScale,
): Sae {
  const W_enc = new Float32Array(weights.W_enc.length);
  transposeInto(weights.W_enc, cfg.d_sae, cfg.d_in, W_enc);
  const { selects } = architectures[cfg.architecture];
  const scaled: Sae = {
    cfg,
    W_enc,
    b_enc: weights.b_enc,
    W_dec: weights.W_dec.slice(),
    b_dec: weights.b_dec,
    threshold:
      selects !== "above threshold"
        ? null
        : // a threshold below zero keeps what zero does
          (own.threshold?.weights.map((t) => Math.max(0, t)) ??
          new Float32Array(cfg.d_sae).fill(cfg.architecture === "standard" ? 0 : threshold)),
    ...(own.W_skip && { W_skip: own.W_skip.weights.slice() }),
    ...(selects === "gate" && { gate: gateOf(own, weights.b_enc) }),
  };
  const { input, target } = scaleOf(scale);
  return scaleFrame(scaled, 1 / input, 1 / target);
}

function gateOf({ r_mag, c_mag }: TrainingSae["own"], b_enc: Float32Array): Gate {
  const r = r_mag.weights;
  const b_mag = c_mag.weights.map((c, i) => c + Math.exp(r[i]) * b_enc[i]);
  return { r_mag: r.slice(), b_mag };
}

/** All that is needed to go on, as copies, each tensor's name prefixed. */
export function trainingTensors(sae: TrainingSae, prefix: string): Map<string, HostTensor> {
  const { d_in, d_out, d_sae } = sae.cfg;
  const shapes = { W_enc: [d_sae, d_in], b_enc: [d_sae], W_dec: [d_sae, d_out], b_dec: [d_out] };
  const out = new Map<string, HostTensor>();
  for (const name of saeArrayNames) {
    for (const group of ["weights", "m", "v"] as const) {
      out.set(`${prefix}${group}.${name}`, { shape: shapes[name], data: sae[group][name].slice() });
    }
  }
  out.set(`${prefix}norms`, { shape: [d_sae], data: sae.norms.slice() });
  out.set(`${prefix}since_fired`, { shape: [d_sae], data: sae.sinceFired.slice() });
  for (const [name, shape] of Object.entries(ownShapes(sae.cfg))) {
    for (const group of ["weights", "m", "v"] as const) {
      const data = sae.own[name][group].slice();
      out.set(`${prefix}own.${name}.${group}`, { shape, data });
    }
  }
  out.set(`${prefix}scalars`, { shape: [2], data: Float64Array.of(sae.threshold, sae.lambda) });
  return out;
}

/** The SAE in training that `trainingTensors` wrote. Errors: UsageError for a missing or misshapen tensor. */
export function fromTrainingTensors(
  cfg: SaeConfig,
  tensors: ReadonlyMap<string, HostTensor>,
  prefix: string,
): TrainingSae {
  const take = <T extends Float32Array | Float64Array>(
    name: string,
    size: number,
    kind: { new (length: number): T; readonly name: string },
  ): T => {
    const data = tensors.get(prefix + name)?.data;
    if (data instanceof kind && data.length === size) return data.slice() as T;
    throw new UsageError({
      code: "sae-state",
      where: `SAE training state: tensor ${prefix}${name}`,
      expected: `a ${kind.name} of ${size} numbers`,
      got: data ? `a ${data.constructor.name} of ${data.length}` : "no such tensor",
      hint: "The state belongs to another plan, or another version wrote it.",
    });
  };
  const group = (name: string): SaeArrays => ({
    W_enc: take(`${name}.W_enc`, cfg.d_sae * cfg.d_in, Float32Array),
    b_enc: take(`${name}.b_enc`, cfg.d_sae, Float32Array),
    W_dec: take(`${name}.W_dec`, cfg.d_sae * cfg.d_out, Float32Array),
    b_dec: take(`${name}.b_dec`, cfg.d_out, Float32Array),
  });
  const scalars = take("scalars", 2, Float64Array);
  return {
    cfg,
    weights: group("weights"),
    m: group("m"),
    v: group("v"),
    norms: take("norms", cfg.d_sae, Float32Array),
    sinceFired: take("since_fired", cfg.d_sae, Float64Array),
    own: Object.fromEntries(
      Object.entries(ownShapes(cfg)).map(([name, shape]) => {
        const size = shape.reduce((product, n) => product * n, 1);
        const of = (part: string): Float32Array => take(`own.${name}.${part}`, size, Float32Array);
        return [name, { weights: of("weights"), m: of("m"), v: of("v") }];
      }),
    ),
    threshold: scalars[0],
    lambda: scalars[1],
  };
}

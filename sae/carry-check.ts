/**
 * @file Whether a carry came out as the algebra says, measured on text right after an expansion:
 * the same latents fire, and in the parent's frame (pulled back through R) the carried SAE leaves
 * the same fraction of variance unexplained. Sums in f64.
 */
import { tf } from "../src/engine/index.ts";
import { type ExpansionMap, hookEntry, pullBack } from "../src/expansion/index.ts";
import { activationsAt, type Model } from "../src/models/index.ts";
import type { Sequences } from "./activations.ts";
import type { CarriedSae } from "./carry.ts";
import { reconstruct } from "./decode.ts";
import { encodeAsync } from "./encode.ts";
import { RowMoments } from "./row-moments.ts";
import type { Sae, SparseCodes } from "./sae.ts";

/** What `carry --json` prints under `check`. */
export interface CarryCheck {
  /** Firings (token, latent) that both SAEs have, over those that either has. */
  readonly same_latents: number;
  /** FVU of the parent's SAE on the parent's activations. */
  readonly fvu_parent: number;
  /** FVU of R x̂' against R h', the carried SAE's reconstruction and the child's activations. */
  readonly fvu_parent_frame: number;
}

/** Options of `checkCarry`. */
export interface CarryCheckOptions {
  /** Leading tokens of each sequence to leave out. Default: those the SAE was not trained on. */
  readonly firstTokensExcluded?: number;
  /** Sequences per forward pass. Default 32. */
  readonly batchSequences?: number;
}

/** Runs both models on the sequences; `sae` reads the parent at its hook, `carried` the child. */
export async function checkCarry(
  sae: Sae,
  carried: CarriedSae,
  map: ExpansionMap,
  parent: Model,
  child: Model,
  set: Sequences,
  {
    firstTokensExcluded = sae.cfg.first_tokens_excluded,
    batchSequences = 32,
  }: CarryCheckOptions = {},
): Promise<CarryCheck> {
  const hook = sae.cfg.hook_name;
  const tensor = hookEntry(map, hook)?.tensor;
  if (tensor === undefined) throw new Error(`internal: the expansion map has no hook ${hook}`);
  const { d_in: d, d_out, hook_name_out } = sae.cfg;
  const outTensor = hook_name_out === null ? tensor : hookEntry(map, hook_name_out)?.tensor;
  if (outTensor === undefined) {
    throw new Error(`internal: the expansion map has no hook ${hook_name_out}`);
  }
  const small = new Unexplained(d_out);
  const frame = new Unexplained(d_out);
  let both = 0;
  let either = 0;
  for (let start = 0; start < set.nSeq; start += batchSequences) {
    const batch = Math.min(batchSequences, set.nSeq - start);
    const ids = set.ids.subarray(start * set.context, (start + batch) * set.context);
    const rows = (model: Model, name: string, width: number) =>
      keptRows(activationsAt(model, ids, batch, name), set.context, firstTokensExcluded, width);
    const h = await rows(parent, hook, d);
    const H = await rows(child, carried.hook_name, carried.sae.cfg.d_in);
    const { hook_name_out: hookOut, d_out: D_out } = carried.sae.cfg;
    const y = hook_name_out === null ? h : await rows(parent, hook_name_out, d_out);
    const Y = hookOut === null ? H : await rows(child, hookOut, D_out);
    const { codes, output } = await encodeRows(sae, h);
    const { codes: carriedCodes, output: carriedOutput } = await encodeRows(carried.sae, H);
    small.add(y, output);
    frame.add(pullBack(map, outTensor, Y), pullBack(map, outTensor, carriedOutput));
    const overlap = countShared(codes, carriedCodes);
    both += overlap;
    either += codes.latent.length + carriedCodes.latent.length - overlap;
  }
  return {
    same_latents: either === 0 ? 1 : both / either,
    fvu_parent: small.fvu(),
    fvu_parent_frame: frame.fvu(),
  };
}

async function keptRows(
  activations: tf.Tensor2D,
  context: number,
  excluded: number,
  width: number,
): Promise<Float32Array> {
  const values = (await activations.data()) as Float32Array;
  const sequences = values.length / (context * width);
  const kept = (context - excluded) * width;
  const rows = new Float32Array(sequences * kept);
  for (let s = 0; s < sequences; s++) {
    const from = (s * context + excluded) * width;
    rows.set(values.subarray(from, from + kept), s * kept);
  }
  activations.dispose();
  return rows;
}

async function encodeRows(
  sae: Sae,
  rows: Float32Array,
): Promise<{ codes: SparseCodes; output: Float32Array }> {
  const x = tf.tensor2d(rows, [rows.length / sae.cfg.d_in, sae.cfg.d_in]);
  const codes = await encodeAsync(sae, x);
  const output = await reconstruct(sae, codes, x);
  x.dispose();
  return { codes, output };
}

/** Firings that both have; latents ascend within a row. */
function countShared(a: SparseCodes, b: SparseCodes): number {
  let shared = 0;
  for (let row = 0; row < a.nTokens; row++) {
    let j = b.rowStart[row];
    for (let i = a.rowStart[row]; i < a.rowStart[row + 1]; i++) {
      while (j < b.rowStart[row + 1] && b.latent[j] < a.latent[i]) j++;
      if (j < b.rowStart[row + 1] && b.latent[j] === a.latent[i]) shared++;
    }
  }
  return shared;
}

/** E‖x − x̂‖² / (E‖x‖² − ‖Ex‖²) over rows of width d. */
class Unexplained {
  private readonly moments: RowMoments;
  private error = 0;

  constructor(d: number) {
    this.moments = new RowMoments(d);
  }

  add(x: Float32Array, reconstruction: Float32Array): void {
    this.moments.add(x);
    for (let i = 0; i < x.length; i++) this.error += (x[i] - reconstruction[i]) ** 2;
  }

  fvu(): number {
    return this.error / this.moments.variance();
  }
}

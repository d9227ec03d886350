/**
 * @file Carrying an SAE through an expansion map: W_enc' = Rᵀ W_enc, W_dec' = E W_dec, b_dec' = E b_dec,
 * b_enc, thresholds and gates unchanged. On the image of E the pre-activations, and so the latents, are the
 * same and the reconstruction is E x̂. Decoder norms change per latent (under LEMON with r > 0,
 * ‖E w‖² = q‖w‖² + r·mean(w)²) and are left so: folding them into the encoder would change which
 * latents a TopK or BatchTopK SAE selects. Training on holds them where they are. Where a growth method has no map at
 * the hook, the map fitted on text takes its place: h_big ≈ E h + e, h ≈ R h_big + r. Then b_dec' = E b_dec + e, and
 * b_enc' takes up what pulling b_dec' back misses b_dec by, so that latents see R h_big + r − b_dec.
 * A transcoder has two hooks: its encoder goes through R of the one it reads, decoder and b_dec through E of the one it
 * reconstructs, and the skip connection through both, W_skip' = E W_skip R. An SAE that takes a norm off its rows has
 * the scale of the child's normalised rows moved into its weights, or can't be carried (carry-norm.ts).
 */
import {
  carriedHook,
  type ExpansionMap,
  grownWidth,
  type HookMap,
  isFitted,
  mapPoints,
  mapReadouts,
  mapVectors,
  parentWidth,
  pullBack,
  vectorMap,
} from "../src/expansion/index.ts";
import { UsageError } from "../src/io/index.ts";
import { normFactor } from "./carry-norm.ts";
import { transposed } from "./kernels/transpose.ts";
import type { Sae } from "./sae.ts";

/** An SAE in the child's frame. */
export interface CarriedSae {
  readonly sae: Sae;
  /** The child's hook that it reads: the later one where an identity block made two of one boundary. */
  readonly hook_name: string;
  /** Other hooks of the child with the same activations right after the expansion, the earliest first. */
  readonly also: readonly string[];
}

/** One side of an SAE: where it is in the child and by which map. */
interface Side {
  readonly entry: HookMap;
  readonly isFitted: boolean;
  /** Width in the child. */
  readonly D: number;
}

/**
 * Carries `sae`, which reads the parent's hook `fromHook`. Errors: UsageError when the map lacks one of its
 * hooks, the SAE's width is not the parent's there, or the map changes the norm that the SAE takes off its rows.
 */
export function carrySae(
  sae: Sae,
  map: ExpansionMap,
  fromHook: string = sae.cfg.hook_name,
): CarriedSae {
  const { d_in, d_out, d_sae, hook_name_out } = sae.cfg;
  const read = sideOf(map, fromHook, "d_in", d_in);
  const written = hook_name_out === null ? read : sideOf(map, hook_name_out, "d_out", d_out);
  const encoder = transposed(sae.W_enc, d_in, d_sae); // [d_sae, d_in]
  const grown = mapReadouts(map, read.entry.tensor, encoder); // [d_sae, D]
  const factor = normFactor(sae, map, read.entry.tensor, read.D, read.isFitted);
  const W_enc = transposed(grown, d_sae, read.D);
  const b_dec = mapPoints(map, written.entry.tensor, biasWithSkip(sae, map, read));
  const shift = read.isFitted ? encoderShift(sae, map, read, b_dec) : null;
  const b_enc = sae.b_enc.map((bias, i) => bias + (shift?.[i] ?? 0));
  // a gated SAE's values start from the pre-activation without b_enc
  const gate = sae.gate && {
    ...sae.gate,
    b_mag: sae.gate.b_mag.map(
      (bias, i) => bias + Math.exp(sae.gate?.r_mag[i] ?? 0) * (shift?.[i] ?? 0),
    ),
  };
  const [hook_name, ...also] = read.entry.to;
  const carried: CarriedSae = {
    sae: {
      cfg: {
        ...sae.cfg,
        d_in: read.D,
        d_out: written.D,
        hook_name,
        hook_name_out: hook_name_out === null ? null : written.entry.to[0],
      },
      W_enc,
      b_enc,
      W_dec: mapVectors(map, written.entry.tensor, sae.W_dec),
      b_dec,
      threshold: sae.threshold?.slice() ?? null,
      ...(sae.W_skip && { W_skip: carriedSkip(sae.W_skip, d_out, map, read, written) }),
      ...(gate && { gate }),
    },
    hook_name,
    also,
  };
  return factor === 1 ? carried : { ...carried, sae: onScaledRows(carried.sae, factor) };
}

/** The SAE with the same latents on rows `factor` times as large, whose reconstructions are as much larger. */
function onScaledRows(sae: Sae, factor: number): Sae {
  return {
    ...sae,
    W_enc: sae.W_enc.map((w) => w / factor),
    W_dec: sae.W_dec.map((w) => w * factor),
    b_dec: sae.b_dec.map((b) => b * factor),
  };
}

/**
 * The carried SAE at the earliest of the child's hooks that hold the parent's boundary, before the inserted blocks:
 * null where there is no other. A transcoder writes elsewhere than it reads and stays where it is.
 */
export function carriedBefore({ sae, also }: CarriedSae): Sae | null {
  if (also.length === 0 || sae.cfg.hook_name_out !== null) return null;
  return { ...sae, cfg: { ...sae.cfg, hook_name: also[0] } };
}

function sideOf(map: ExpansionMap, hook: string, field: "d_in" | "d_out", d: number): Side {
  const entry = carriedHook(map, hook);
  const linear = vectorMap(map, entry.tensor);
  const width = parentWidth(linear) ?? identityWidth(map, hook);
  if (d !== width) {
    throw new UsageError({
      code: "sae-width",
      where: `SAE at ${hook}`,
      expected: `${field} ${width}, the parent's width there`,
      got: `${field} ${d}`,
      hint: "The SAE belongs to another model than the expansion.",
    });
  }
  return { entry, isFitted: isFitted(linear), D: grownWidth(linear, d) };
}

/** E W_skip R: its rows through R of what is read, its columns through E of what is reconstructed. */
function carriedSkip(
  W_skip: Float32Array,
  d_out: number,
  map: ExpansionMap,
  read: Side,
  written: Side,
): Float32Array {
  const rows = mapReadouts(map, read.entry.tensor, W_skip); // [d_out, D_in]
  const columns = transposed(rows, d_out, read.D);
  const mapped = mapVectors(map, written.entry.tensor, columns); // [D_in, D_out]
  const out = transposed(mapped, read.D, written.D);
  return out;
}

/** b_dec, and W_skip r besides where a fitted map reads h ≈ R h_big + r. */
function biasWithSkip({ cfg, b_dec, W_skip }: Sae, map: ExpansionMap, read: Side): Float32Array {
  if (!W_skip || !read.isFitted) return b_dec;
  const offset = pullBack(map, read.entry.tensor, new Float32Array(read.D)); // [d_in]
  return b_dec.map((bias, j) => {
    let sum = bias;
    for (let i = 0; i < cfg.d_in; i++) sum += W_skip[j * cfg.d_in + i] * offset[i];
    return sum;
  });
}

/** What each latent's bias takes up under a fitted map: w · (R c' + r − c), c being what the encoder takes off its input. */
function encoderShift(
  sae: Sae,
  map: ExpansionMap,
  { entry, D }: Side,
  b_dec: Float32Array,
): Float64Array {
  const { d_in, d_sae, apply_b_dec_to_input } = sae.cfg;
  const back = pullBack(map, entry.tensor, apply_b_dec_to_input ? b_dec : new Float32Array(D));
  const shift = new Float64Array(d_sae);
  for (let j = 0; j < d_in; j++) {
    const missed = back[j] - (apply_b_dec_to_input ? sae.b_dec[j] : 0);
    for (let i = 0; i < d_sae; i++) shift[i] += sae.W_enc[j * d_sae + i] * missed;
  }
  return shift;
}

function identityWidth({ parent }: ExpansionMap, hook: string): number {
  const { d_model, n_head, d_head = d_model / n_head, d_mlp } = parent;
  if (hook.endsWith("attn.hook_z")) return n_head * d_head;
  return hook.endsWith(".hook_post") ? d_mlp : d_model;
}

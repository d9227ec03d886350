/**
 * @file Carrying an SAE through an expansion map: W_enc' = Rᵀ W_enc, W_dec' = E W_dec, b_dec' = E b_dec,
 * b_enc, thresholds and gates unchanged. On the image of E the pre-activations, and so the latents, are the
 * same and the reconstruction is E x̂. Decoder norms change per latent (under LEMON with r > 0,
 * ‖E w‖² = q‖w‖² + r·mean(w)²) and are left so: folding them into the encoder would change which
 * latents a TopK or BatchTopK SAE selects. Training on holds them where they are. Where a growth method has no map at
 * the hook, the map fitted on text takes its place: h_big ≈ E h + e, h ≈ R h_big + r. Then b_dec' = E b_dec + e, and
 * b_enc' takes up what pulling b_dec' back misses b_dec by, so that latents see R h_big + r − b_dec.
 */
import {
  type ExpansionMap,
  grownWidth,
  hookEntry,
  isFitted,
  mapPoints,
  mapReadouts,
  mapVectors,
  parentWidth,
  pullBack,
  vectorMap,
} from "../src/expansion/index.ts";
import { UsageError } from "../src/io/index.ts";
import { transposeInto } from "./kernels/transpose.ts";
import type { Sae } from "./sae.ts";

/** An SAE in the child's frame. */
export interface CarriedSae {
  readonly sae: Sae;
  /** The child's hook that it reads: the later one where an identity block made two of one boundary. */
  readonly hook_name: string;
  /** Other hooks of the child with the same activations right after the expansion, the earliest first. */
  readonly also: readonly string[];
}

/**
 * Carries `sae`, which reads the parent's hook `fromHook`. Errors: UsageError when the map lacks the
 * hook or the SAE's width is not the parent's there.
 */
export function carrySae(
  sae: Sae,
  map: ExpansionMap,
  fromHook: string = sae.cfg.hook_name,
): CarriedSae {
  const entry = hookEntry(map, fromHook);
  if (entry === undefined) {
    throw new UsageError({
      code: "hook-not-in-map",
      where: `hook ${fromHook}`,
      expected: "a hook that the expansion map carries",
      got: fromHook,
      hint: `The parent has ${map.parent.n_layer} layers; the map has ${map.hooks
        .map(({ from }) => from)
        .filter((from) => from.endsWith(fromHook.split(".").pop() ?? ""))
        .join(", ")}`,
    });
  }
  const linear = vectorMap(map, entry.tensor);
  const { d_in, d_sae } = sae.cfg;
  const width = parentWidth(linear) ?? identityWidth(map, fromHook);
  if (d_in !== width) {
    throw new UsageError({
      code: "sae-width",
      where: `SAE at ${fromHook}`,
      expected: `d_in ${width}, the parent's width there`,
      got: `d_in ${d_in}`,
      hint: "The SAE belongs to another model than the expansion.",
    });
  }
  const D = grownWidth(linear, d_in);
  const encoder = new Float32Array(sae.W_enc.length); // [d_sae, d_in]
  transposeInto(sae.W_enc, d_in, d_sae, encoder);
  const grown = mapReadouts(map, entry.tensor, encoder); // [d_sae, D]
  const W_enc = new Float32Array(grown.length);
  transposeInto(grown, d_sae, D, W_enc);
  const b_dec = mapPoints(map, entry.tensor, sae.b_dec);
  const shift = isFitted(linear) ? encoderShift(sae, map, entry.tensor, b_dec) : null;
  const b_enc = sae.b_enc.map((bias, i) => bias + (shift?.[i] ?? 0));
  // a gated SAE's values start from the pre-activation without b_enc
  const gate = sae.gate && {
    ...sae.gate,
    b_mag: sae.gate.b_mag.map(
      (bias, i) => bias + Math.exp(sae.gate?.r_mag[i] ?? 0) * (shift?.[i] ?? 0),
    ),
  };
  const [hook_name, ...also] = entry.to;
  return {
    sae: {
      cfg: { ...sae.cfg, d_in: D, hook_name },
      W_enc,
      b_enc,
      W_dec: mapVectors(map, entry.tensor, sae.W_dec),
      b_dec,
      threshold: sae.threshold?.slice() ?? null,
      ...(gate && { gate }),
    },
    hook_name,
    also,
  };
}

/** What each latent's bias takes up under a fitted map: w · (R c' + r − c), c being what the encoder takes off its input. */
function encoderShift(
  sae: Sae,
  map: ExpansionMap,
  tensor: string,
  b_dec: Float32Array,
): Float64Array {
  const { d_in, d_sae, apply_b_dec_to_input } = sae.cfg;
  const back = pullBack(map, tensor, apply_b_dec_to_input ? b_dec : new Float32Array(b_dec.length));
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

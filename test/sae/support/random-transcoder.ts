// Random transcoders for tests.
import { architectures, type Sae, type SaeArchitecture, saeConfig } from "../../../sae/index.ts";
import { draw } from "./random-sae.ts";

/** What it reads and what it reconstructs. */
export const transcoderHooks: readonly [string, string] = [
  "blocks.1.mlp.hook_in",
  "blocks.1.hook_mlp_out",
];

export interface TranscoderSizes {
  readonly d_in: number;
  readonly d_out: number;
  readonly d_sae: number;
}

/** A transcoder of normal numbers, unequal decoder norms among them. */
export function randomTranscoder(
  architecture: SaeArchitecture,
  { d_in, d_out, d_sae }: TranscoderSizes,
  {
    skip = true,
    hooks = transcoderHooks,
  }: { readonly skip?: boolean; readonly hooks?: readonly string[] } = {},
): Sae {
  const traits = architectures[architecture];
  const scale = 1 / Math.sqrt(d_in);
  return {
    cfg: saeConfig({
      ...{ architecture, d_in, d_out, d_sae, skip_connection: skip },
      ...{ hook_name: hooks[0], hook_name_out: hooks[1] },
      k: traits.k === "none" ? null : 3,
      matryoshka_widths: architecture === "matryoshka_batchtopk" ? [4, d_sae] : null,
    }),
    W_enc: draw("W_enc", d_in * d_sae).map((w) => w * scale),
    b_enc: draw("b_enc", d_sae).map((b) => b / 4),
    W_dec: draw("W_dec", d_sae * d_out),
    b_dec: draw("b_dec", d_out),
    threshold:
      traits.selects !== "above threshold"
        ? null
        : architecture === "standard"
          ? new Float32Array(d_sae)
          : draw("threshold", d_sae).map((t) => 0.2 + Math.abs(t)),
    ...(skip && { W_skip: draw("W_skip", d_out * d_in).map((w) => w * scale) }),
    ...(traits.selects === "gate" && {
      gate: { r_mag: draw("r_mag", d_sae).map((r) => r / 3), b_mag: draw("b_mag", d_sae) },
    }),
  };
}

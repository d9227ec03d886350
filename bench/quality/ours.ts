/** Our side of the quality benchmark: the public trainer on the batches that the peers take, written for SAELens. */
import {
  architectures,
  rowActivations,
  type SaeArchitecture,
  saeConfig,
  saveSae,
  trainSaes,
} from "../../sae/index.ts";
import { createRng } from "../../src/engine/index.ts";
import { type Candidate, ownOptions, type QualitySizes } from "./settings.ts";

/** Where the batches of a seed begin among the rows; bench/peers/quality.py has the same. */
const rowsPerSeed = 200_000;

/** Trains one SAE on `rows` and writes it to the folder `out`. */
export async function trainOurs(
  rows: Float32Array, // [n, d_in]
  architecture: SaeArchitecture,
  { widths = [], ...candidate }: Candidate & { readonly widths?: readonly number[] },
  sizes: QualitySizes,
  seed: number,
  out: string,
): Promise<void> {
  const { d_in, d_sae, k, batch } = sizes;
  const config = saeConfig({
    ...{ architecture, d_in, d_sae, hook_name: "quality" },
    k: architectures[architecture].k === "none" ? null : k,
    matryoshka_widths: architecture === "matryoshka_batchtopk" ? widths : null,
  });
  const n = rows.length / d_in;
  const first = (seed * rowsPerSeed) % n;
  const turned = new Float32Array(rows.length);
  turned.set(rows.subarray(first * d_in));
  turned.set(rows.subarray(0, first * d_in), rows.length - first * d_in);
  const job = { name: "sae", config, init: null, rng: createRng(`sae ${seed}`), pinNorms: false };
  const source = rowActivations(turned, d_in, batch);
  const training = trainSaes(source, [job], ownOptions(candidate, architecture, sizes));
  let done = await training.next();
  while (!done.done) done = await training.next();
  const sae = done.value.get("sae");
  if (!sae) throw new Error("internal: the trainer has no SAE of this name");
  saveSae(out, sae);
}

// Every architecture on activations whose features are known, scaled to seconds: how well the dictionary matches them
// (MCC: mean |cosine| of the best one-to-one matching, here greedy), and how well a matched latent fires with its
// feature (F1). Figures are in docs/methods.md.
import { beforeAll, expect, test } from "vitest";
import {
  architectureNames,
  architectures,
  encode,
  initialiseSae,
  rowActivations,
  type Sae,
  type SaeArchitecture,
  saeConfig,
  trainSaes,
} from "../../sae/index.ts";
import { createRng, tf, useBackend } from "../../src/engine/index.ts";
import { testBackend } from "../support/backend.ts";
import { type Synthetic, syntheticFeatures } from "../support/synthetic-features.ts";
import { dense } from "./support/random-sae.ts";

const [d, features, l0, steps] = [24, 48, 4, 350];
let data: Synthetic;
const found = new Map<SaeArchitecture, Sae>();

beforeAll(async () => {
  await useBackend(testBackend);
  data = syntheticFeatures({ d, features, l0, rows: 12_000, seed: 1 });
  const jobs = architectureNames.map((architecture) => ({
    name: architecture,
    config: saeConfig({
      ...{ architecture, d_in: d, d_sae: features, hook_name: "synthetic" },
      k: architectures[architecture].k === "none" ? null : l0,
      matryoshka_widths: architecture === "matryoshka_batchtopk" ? [12, 24, features] : null,
    }),
    init: null,
    rng: createRng(architecture),
    pinNorms: false,
  }));
  const source = rowActivations(data.rows, d, 512);
  const training = trainSaes(source, jobs, { steps, targetL0: l0, deadAfterTokens: 10_000 });
  let done = await training.next();
  while (!done.done) done = await training.next();
  for (const [name, sae] of done.value) found.set(name as SaeArchitecture, sae);
});

/** For each feature the latent that is matched with it, and the cosine: the largest pairs first. */
function matching({ W_dec }: Sae): Map<number, { latent: number; cosine: number }> {
  const pairs: { feature: number; latent: number; cosine: number }[] = [];
  for (let feature = 0; feature < features; feature++) {
    for (let latent = 0; latent < features; latent++) {
      const row = W_dec.subarray(latent * d, (latent + 1) * d);
      const direction = data.directions.subarray(feature * d, (feature + 1) * d);
      const dot = row.reduce((sum, w, j) => sum + w * direction[j], 0);
      pairs.push({ feature, latent, cosine: Math.abs(dot) / (Math.hypot(...row) || 1) });
    }
  }
  const matched = new Map<number, { latent: number; cosine: number }>();
  const taken = new Set<number>();
  for (const { feature, latent, cosine } of pairs.sort((a, b) => b.cosine - a.cosine)) {
    if (matched.has(feature) || taken.has(latent)) continue;
    matched.set(feature, { latent, cosine });
    taken.add(latent);
  }
  return matched;
}

function figures(sae: Sae): { mcc: number; f1: number; l0: number } {
  const rows = data.rows.length / d;
  const x = tf.tensor2d(data.rows, [rows, d]);
  const codes = encode(sae, x);
  x.dispose();
  const fires = dense(codes);
  let mcc = 0;
  let f1 = 0;
  for (const [feature, { latent, cosine }] of matching(sae)) {
    let both = 0;
    let either = 0;
    for (let t = 0; t < rows; t++) {
      const [is, says] = [data.magnitudes[t * features + feature], fires[t * features + latent]];
      both += is > 0 && says > 0 ? 2 : 0;
      either += (is > 0 ? 1 : 0) + (says > 0 ? 1 : 0);
    }
    mcc += cosine / features;
    f1 += either === 0 ? 0 : both / either / features;
  }
  return { mcc, f1, l0: codes.latent.length / rows };
}

/** What was measured (wasm and native agree to two digits) less a tenth, for another backend's rounding. */
const least: Readonly<Record<SaeArchitecture, { readonly mcc: number; readonly f1: number }>> = {
  standard: { mcc: 0.54, f1: 0.3 },
  gated: { mcc: 0.62, f1: 0.42 },
  topk: { mcc: 0.73, f1: 0.5 },
  batchtopk: { mcc: 0.7, f1: 0.52 },
  matryoshka_batchtopk: { mcc: 0.58, f1: 0.35 },
  jumprelu: { mcc: 0.62, f1: 0.44 },
};

test.each(architectureNames)("%s finds features", (architecture) => {
  const got = figures(found.get(architecture) as Sae);
  expect(got.mcc).toBeGreaterThan(least[architecture].mcc);
  expect(got.f1).toBeGreaterThan(least[architecture].f1);
  expect(got.l0).toBeGreaterThan(0.8 * l0);
  expect(got.l0).toBeLessThan(1.25 * l0);
});

test("an untrained dictionary finds none of it", () => {
  const cfg = saeConfig({
    ...{ architecture: "topk", d_in: d, d_sae: features, k: l0, hook_name: "synthetic" },
  });
  const got = figures(initialiseSae(cfg, data.rows, createRng("untrained")));
  expect(got.mcc).toBeLessThan(0.5);
  expect(got.f1).toBeLessThan(0.25);
});

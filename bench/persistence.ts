/**
 * npm run --silent bench:persistence -- [--latents 16384] [--d 512] [--tokens 200000]: one comparison of dictionaries of
 * that size, all parts of it (nulls, splits and merges, probes, bootstrap), with its time and the peak memory of the
 * process as a line of JSON. The dictionaries are made up: Zipf rates, the child's codes the parent's with firings lost,
 * halved among two latents or taken over by others. What is measured is the cost, not what is found.
 */
import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";
import {
  type ArmInput,
  type ArmRole,
  comparePersistence,
  type Dictionary,
  identityFrame,
} from "../sae/persistence/index.ts";
import type { SparseCodes } from "../sae/sae.ts";
import { createRng, useBackend } from "../src/engine/index.ts";
import { describeMachine } from "./harness/machine.ts";

const { values } = parseArgs({
  options: {
    latents: { type: "string", default: "16384" },
    d: { type: "string", default: "512" },
    tokens: { type: "string", default: "200000" },
    l0: { type: "string", default: "32" },
    backend: { type: "string", default: "native" },
    threads: { type: "string", default: String(availableParallelism()) },
  },
});
const sizes = {
  latents: Number(values.latents),
  d: Number(values.d),
  tokens: Number(values.tokens),
  l0: Number(values.l0),
};
const rng = createRng("persistence size");

/** Latents by a Zipf law of exponent ½, about l0 a token. */
function parentCodes(): SparseCodes {
  const { latents, tokens, l0 } = sizes;
  const draw = rng.fork("parent");
  const rowStart = new Int32Array(tokens + 1);
  const latent = new Int32Array(tokens * l0);
  const value = new Float32Array(tokens * l0);
  let at = 0;
  for (let t = 0; t < tokens; t++) {
    const row = new Set<number>();
    // Squares of uniform numbers have the density of that law.
    for (let k = 0; k < l0; k++) row.add(Math.floor(latents * draw.next() ** 2));
    for (const i of [...row].sort((a, b) => a - b)) {
      latent[at] = i;
      value[at++] = 0.5 + draw.next();
    }
    rowStart[t + 1] = at;
  }
  return { nTokens: tokens, dSae: latents, rowStart, latent, value };
}

/** The same firings with some lost, and a fifth of the latents shared out between two. */
function changed(codes: SparseCodes, label: string): SparseCodes {
  const draw = rng.fork(label);
  const { nTokens, dSae, rowStart } = codes;
  const start = new Int32Array(nTokens + 1);
  const latent = new Int32Array(codes.latent.length);
  const value = new Float32Array(codes.value.length);
  let at = 0;
  for (let t = 0; t < nTokens; t++) {
    const row = new Map<number, number>();
    for (let p = rowStart[t]; p < rowStart[t + 1]; p++) {
      if (draw.next() < 0.15) continue;
      const i = codes.latent[p];
      const to = i % 5 === 0 && draw.next() < 0.5 ? dSae - 1 - (i >> 1) : i;
      row.set(to, codes.value[p] * (0.9 + 0.2 * draw.next()));
    }
    for (const [i, x] of [...row].sort(([a], [b]) => a - b)) {
      latent[at] = i;
      value[at++] = x;
    }
    start[t + 1] = at;
  }
  return { nTokens, dSae, rowStart: start, latent, value };
}

function dictionary(codes: SparseCodes, label: string): Dictionary {
  const draw = rng.fork(label);
  const W_dec = Float32Array.from({ length: sizes.latents * sizes.d }, () => draw.normal());
  return { codes, d_in: sizes.d, W_dec, W_enc: W_dec, lineage: null };
}

function* rows(label: string): Generator<Float32Array> {
  const draw = rng.fork(label);
  const size = 1000;
  for (let from = 0; from < sizes.tokens; from += size) {
    const n = Math.min(size, sizes.tokens - from);
    yield Float32Array.from({ length: n * sizes.d }, () => draw.next() - 0.5);
  }
}

await useBackend(values.backend as "native", { threads: Number(values.threads) });
const codes = parentCodes();
const parent = dictionary(codes, "parent directions");
const arm = (role: ArmRole, name: string): ArmInput => ({
  ...dictionary(changed(codes, name), name),
  W_dec: role === "fresh" ? dictionary(codes, name).W_dec : parent.W_dec,
  role,
  arm: name,
  sae: "bench",
  seed: 0,
  frame: identityFrame,
  start: null,
  l0: null,
  fvu: null,
  ce_loss_score_zero: null,
});
const arms = [
  arm("carried", "carried"),
  arm("fresh", "fresh-0"),
  arm("fresh", "fresh-1"),
  arm("fresh-parent", "fresh-parent-0"),
];
const stream = (label: string) => ({ dIn: sizes.d, blocks: rows(label) });
const before = process.memoryUsage.rss();
const cpuBefore = process.cpuUsage();
const began = performance.now();
const { document } = await comparePersistence({
  stage: "bench",
  name: "bench",
  parent,
  arms,
  sequenceLength: 127,
  probes: { parent: stream("x"), child: stream("y"), random: stream("z") },
  curves: null,
  off_image: null,
  copy_spread: null,
  rng: rng.fork("compare"),
});
const seconds = (performance.now() - began) / 1000;
const { user, system } = process.cpuUsage(cpuBefore);
const spent = user + system;
process.stdout.write(
  `${JSON.stringify({
    ...sizes,
    arms: arms.length,
    backend: values.backend,
    seconds: Math.round(seconds),
    cpu_seconds: Math.round(spent / 1e6),
    input_mb: Math.round(before / 2 ** 20),
    peak_mb: Math.round(process.resourceUsage().maxRSS / 1024),
    counts: document.counts,
    machine: describeMachine(),
  })}\n`,
);

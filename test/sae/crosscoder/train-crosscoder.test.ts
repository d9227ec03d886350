// Training: planted features get latents of their owners, resumed runs end with the same bytes, sides weigh the same.
import { expect, test } from "vitest";
import { crosscoderClasses } from "../../../sae/crosscoder/classes.ts";
import type { CrosscoderArchitecture } from "../../../sae/crosscoder/crosscoder.ts";
import { measureCrosscoder } from "../../../sae/crosscoder/measure-crosscoder.ts";
import { pairedSequences, sideScales } from "../../../sae/crosscoder/paired-sequences.ts";
import { createCrosscoderTrainer } from "../../../sae/crosscoder/train-crosscoder.ts";
import { createRng } from "../../../src/engine/index.ts";
import {
  type Owner,
  plant,
  plantedBlocks,
  plantedFrame,
  randomDirections,
  rowsReader,
} from "./support.ts";

const [d, D] = [16, 21];
const owners: readonly Owner[] = Array.from({ length: 24 }, (_, g) =>
  g < 12 ? "shared" : g < 18 ? "parent-only" : "child-only",
);
const directions = randomDirections(owners.length, d, "directions");
const sizes = { d, D, rate: 0.06, noise: 0.02 };
const train = plant(owners, directions, 4096, sizes, createRng("train"));
const held = plant(owners, directions, 4096, sizes, createRng("held out"));
const readers = [rowsReader("h", train.parent, d), rowsReader("H", train.child, D)] as const;
const steps = 300;
const names = { parent: "small", child: "large" };

const trainer = (architecture: CrosscoderArchitecture, steps: number, state?: Map<string, never>) =>
  createCrosscoderTrainer(
    ...readers,
    { architecture, d_sae: 40, k: 2, ...names },
    { steps, batchSize: 128, rng: createRng("trainer"), ...(state && { state }) },
  );

for (const architecture of ["batchtopk", "standard"] as const) {
  test(`${architecture}: planted features end in latents of the models they are in`, async () => {
    const training = await trainer(architecture, steps);
    while (training.taken < steps) await training.step();
    const crosscoder = training.crosscoder();
    training.dispose();
    const measures = await measureCrosscoder(
      crosscoder,
      plantedBlocks(held),
      plantedFrame(d, D),
      createRng(3),
    );
    const { classes } = crosscoderClasses(measures);
    const right = owners.filter((owner, g) => classes[bestLatent(measures.codes, g)] === owner);
    expect(right.length).toBeGreaterThanOrEqual(22);
    if (architecture === "batchtopk") {
      expect(Math.max(measures.fvuParent, measures.fvuChild)).toBeLessThan(0.15);
    }
    // the scales make both sides' parts of a shared feature as long
    const shared = owners.flatMap((owner, g) =>
      owner === "shared" ? [measures.delta[bestLatent(measures.codes, g)]] : [],
    );
    const middle = shared.reduce((sum, delta) => sum + delta, 0) / shared.length;
    expect(Math.abs(middle - 0.5)).toBeLessThan(0.05);
  });
}

/** The latent that correlates best with a feature's activity. */
function bestLatent(
  codes: {
    dSae: number;
    nTokens: number;
    rowStart: Int32Array;
    latent: Int32Array;
    value: Float32Array;
  },
  feature: number,
): number {
  const both = new Float64Array(codes.dSae);
  const squares = new Float64Array(codes.dSae).fill(1e-9);
  for (let t = 0; t < codes.nTokens; t++) {
    for (let p = codes.rowStart[t]; p < codes.rowStart[t + 1]; p++) {
      both[codes.latent[p]] += codes.value[p] * held.active[t * owners.length + feature];
      squares[codes.latent[p]] += codes.value[p] ** 2;
    }
  }
  const score = both.map((sum, i) => sum / Math.sqrt(squares[i]));
  return score.indexOf(Math.max(...score));
}

test("a run resumed from a stored state ends with the same bytes as one that was never stopped", async () => {
  for (const architecture of ["batchtopk", "standard"] as const) {
    const whole = await trainer(architecture, 12);
    for (let step = 0; step < 12; step++) await whole.step();
    const first = await trainer(architecture, 12);
    for (let step = 0; step < 5; step++) await first.step();
    const second = await trainer(architecture, 12, first.state() as Map<string, never>);
    expect(second.taken).toBe(5);
    while (second.taken < 12) await second.step();
    expect(second.crosscoder()).toEqual(whole.crosscoder());
    expect(second.state()).toEqual(whole.state());
  }
});

test("the scales give both sides the same mean norm about their mean", async () => {
  const offset = train.child.map((x, at) => x + (at % D === 0 ? 50 : 0));
  const [own, shifted] = [readers[0], rowsReader("H", offset, D)];
  const scales = await sideScales(own, shifted);
  const plain = await sideScales(...readers);
  expect(scales[0]).toBeCloseTo(plain[0], 10);
  expect(scales[1]).toBeCloseTo(plain[1], 4); // a mean doesn't count
  const [rows] = await pairedSequences(...readers, plain).read(
    Int32Array.from({ length: 512 }, (_, i) => i),
  );
  const norm = (from: number, width: number): number => {
    let total = 0;
    for (let t = 0; t < rows.length / (d + D); t++) {
      total += Math.hypot(...rows.subarray(t * (d + D) + from, t * (d + D) + from + width));
    }
    return total / (rows.length / (d + D));
  };
  // measured on some of the sequences, and the mean is not quite zero
  expect(norm(0, d) / norm(d, D)).toBeGreaterThan(0.9);
  expect(norm(0, d) / norm(d, D)).toBeLessThan(1.1);
});

test("readers of other sequences can't be paired", async () => {
  const fewer = rowsReader("H", train.child.subarray(0, 80 * D), D);
  await expect(sideScales(readers[0], fewer)).rejects.toThrow("512 and 10 of them");
  const shorter = { ...readers[1], rowsIn: (i: number) => (i === 3 ? 7 : 8) };
  expect(() => pairedSequences(readers[0], shorter, [1, 1])).toThrow("8 and 7 in sequence 3");
  const constant = rowsReader("H", new Float32Array(train.child.length).fill(2), D);
  await expect(sideScales(readers[0], constant)).rejects.toThrow("activations that vary");
});

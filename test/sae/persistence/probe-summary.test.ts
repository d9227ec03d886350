import { describe, expect, it } from "vitest";
import { identityFrame } from "../../../sae/persistence/input.ts";
import { probeScores, probeSums } from "../../../sae/persistence/probe.ts";
import { inheritedScores, probesDocument } from "../../../sae/persistence/probe-summary.ts";
import { createRng } from "../../../src/engine/random.ts";
import { codesOf, randomTable } from "./support.ts";

const tokens = 80;
const [d, D] = [3, 5];
const half = Uint8Array.from({ length: tokens }, (_, t) => Math.floor(t / 10) % 2);
const ridge = 1e-3;

function normals(n: number, seed: string): Float32Array {
  const rng = createRng(seed);
  return Float32Array.from({ length: n }, () => rng.normal());
}

describe("inheritedScores", () => {
  const R = normals(d * D, "R"); // [d, D]
  /** Rᵀ applied to encoder rows [n, d]. */
  const encoder = (rows: Float32Array): Float32Array =>
    Float32Array.from({ length: (rows.length / d) * D }, (_, at) => {
      const [row, j] = [Math.floor(at / D), at % D];
      let sum = 0;
      for (let i = 0; i < d; i++) sum += rows[row * d + i] * R[i * D + j];
      return sum;
    });
  const x = normals(tokens * D, "activations");
  const codes = codesOf(randomTable("codes", tokens, 4, 0.5));

  it("are those of probes on the activations through R, from the sums over the activations alone", async () => {
    const sums = await probeSums({ dIn: D, blocks: [x] }, [codes], half, "x");
    const projected = Float32Array.from({ length: tokens * d }, (_, at) => {
      const [t, i] = [Math.floor(at / d), at % d];
      let sum = 0;
      for (let j = 0; j < D; j++) sum += x[t * D + j] * R[i * D + j];
      return sum;
    });
    const direct = await probeSums({ dIn: d, blocks: [projected] }, [codes], half, "Rx");
    const expected = probeScores(direct, 0, ridge);
    const got = inheritedScores(sums, { decoder: (rows) => rows, encoder }, d, ridge)!;
    got.forEach((r2, i) => {
      expect(r2).toBeCloseTo(expected[i], 5);
    });
  });

  it("are those of the activations themselves where the map is the identity, and none without a map of read-outs", async () => {
    const sums = await probeSums({ dIn: D, blocks: [x] }, [codes], half, "x");
    const whole = probeScores(sums, 0, ridge);
    inheritedScores(sums, identityFrame, D, ridge)!.forEach((r2, i) => {
      expect(r2).toBeCloseTo(whole[i], 10);
    });
    expect(inheritedScores(sums, { decoder: (rows) => rows, encoder: null }, d, ridge)).toBeNull();
  });
});

describe("probesDocument", () => {
  const rule = { margin: 0.1, share: 0.8 };
  const evidence = (own: number, other: number, random: number) => ({ own, other, random });

  it("counts among eligible latents that the parent shows those that keep .8 of its R²", () => {
    const parent = [
      evidence(0.5, 0.45, 0.1),
      evidence(0.5, 0.3, 0.41),
      evidence(0.9, 0.8, 0.2),
      evidence(0.05, 0.9, 0.9), // the parent does not show it
      evidence(0.9, 0.9, 0.9), // not eligible
    ];
    const document = probesDocument(
      { parent, inherited: Float64Array.from([0.4, 0, 0, 0, 0]), scratch: null },
      Uint8Array.from([1, 1, 1, 1, 0]),
      rule,
    );
    expect(document).toMatchObject({
      latents: 3,
      parent: { r2: 0.5, read: 1 },
      child: { r2: 0.45, read: 2 / 3 },
      inherited: { r2: 0, read: 1 / 3 },
      scratch: null,
      random: { r2: 0.2, read: 1 / 3 },
    });
  });

  it("has no random weights where those were not measured, and is null where nothing can be read", () => {
    const parent = [evidence(0.5, 0.45, Number.NaN)];
    const none = { parent, inherited: null, scratch: null };
    expect(probesDocument(none, Uint8Array.of(1), rule)?.random).toBeNull();
    expect(probesDocument(none, Uint8Array.of(0), rule)).toBeNull();
  });
});

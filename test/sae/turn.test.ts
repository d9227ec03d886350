// Turned SAEs: angles, norms and Gram matrices are what the controls claim, and the rest is left alone.
import { describe, expect, test } from "vitest";
import { type Sae, saeConfig } from "../../sae/sae.ts";
import { turnAll, turnAngles, turnLatents } from "../../sae/turn.ts";
import { createRng } from "../../src/engine/random.ts";
import { randomTranscoder } from "./support/random-transcoder.ts";

const [d, n] = [7, 40];
const rng = createRng("turn");
const normal = (count: number): Float32Array =>
  Float32Array.from({ length: count }, () => rng.normal());
const sae: Sae = {
  cfg: saeConfig({ architecture: "batchtopk", d_in: d, d_sae: n, k: 4, hook_name: "hook_embed" }),
  W_enc: normal(d * n),
  b_enc: normal(n),
  W_dec: normal(n * d),
  b_dec: normal(d),
  threshold: new Float32Array(n).fill(0.5),
};
const decoderRow = ({ W_dec, cfg: { d_out } }: Sae, i: number): number[] => [
  ...W_dec.subarray(i * d_out, (i + 1) * d_out),
];
const encoderColumn = ({ W_enc, cfg: { d_in, d_sae } }: Sae, i: number): number[] =>
  Array.from({ length: d_in }, (_, at) => W_enc[at * d_sae + i]);
const dot = (a: readonly number[], b: readonly number[]): number =>
  a.reduce((sum, x, i) => sum + x * b[i], 0);
const angle = (a: readonly number[], b: readonly number[]): number =>
  (Math.acos(dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b))) * 180) / Math.PI;

describe("turnLatents", () => {
  const { sae: after, turned } = turnLatents(sae, 30, 0.2, createRng(1));

  test("turns the share of latents asked for, encoder and decoder by one angle, at equal norms", () => {
    expect(turned).toHaveLength(6);
    expect(Math.max(...turned)).toBeLessThan(30);
    for (const i of turned) {
      const by = angle(decoderRow(sae, i), decoderRow(after, i));
      expect(by).toBeGreaterThan(turnAngles[0] - 0.01);
      expect(by).toBeLessThan(turnAngles[1] + 0.01);
      expect(angle(encoderColumn(sae, i), encoderColumn(after, i))).toBeCloseTo(by, 3);
      const norms = [sae, after].map((of) => dot(decoderRow(of, i), decoderRow(of, i)));
      expect(norms[1]).toBeCloseTo(norms[0], 4);
    }
  });

  test("leaves every other latent as it was, to the bit", () => {
    for (let i = 0; i < n; i++) {
      if (turned.includes(i)) continue;
      expect(decoderRow(after, i)).toEqual(decoderRow(sae, i));
      expect(encoderColumn(after, i)).toEqual(encoderColumn(sae, i));
    }
  });

  test("the same seed turns the same latents to the same place", () => {
    expect(turnLatents(sae, 30, 0.2, createRng(1))).toEqual({ sae: after, turned });
  });
});

test("turnAll keeps every angle among latents and turns each far from where it was", () => {
  const after = turnAll(sae, createRng(2));
  for (let i = 0; i < n; i++) {
    for (let j = 0; j <= i; j++) {
      const before = dot(decoderRow(sae, i), decoderRow(sae, j));
      expect(dot(decoderRow(after, i), decoderRow(after, j))).toBeCloseTo(before, 4);
      const read = dot(encoderColumn(sae, i), decoderRow(sae, j));
      expect(dot(encoderColumn(after, i), decoderRow(after, j))).toBeCloseTo(read, 4);
    }
  }
  const cosines = Array.from({ length: n }, (_, i) =>
    Math.cos((angle(decoderRow(sae, i), decoderRow(after, i)) * Math.PI) / 180),
  );
  expect(Math.abs(cosines.reduce((sum, c) => sum + c, 0) / n)).toBeLessThan(0.25);
});

describe("a transcoder that writes another width than it reads", () => {
  const transcoder = randomTranscoder("batchtopk", { d_in: 16, d_out: 4, d_sae: 40 });

  test("has exactly the chosen latents turned, encoder and decoder by one angle", () => {
    const { sae: after, turned } = turnLatents(transcoder, 40, 0.1, createRng(3));
    expect(turned).toHaveLength(4);
    for (let i = 0; i < 40; i++) {
      if (!turned.includes(i)) {
        expect(decoderRow(after, i)).toEqual(decoderRow(transcoder, i));
        expect(encoderColumn(after, i)).toEqual(encoderColumn(transcoder, i));
        continue;
      }
      const by = angle(decoderRow(transcoder, i), decoderRow(after, i));
      expect(by).toBeGreaterThan(turnAngles[0] - 0.01);
      expect(by).toBeLessThan(turnAngles[1] + 0.01);
      expect(angle(encoderColumn(transcoder, i), encoderColumn(after, i))).toBeCloseTo(by, 3);
    }
  });

  test("keeps every angle among its decoder rows, and among its encoder columns, when all are turned", () => {
    const after = turnAll(transcoder, createRng(4));
    for (let i = 0; i < 40; i++) {
      expect(decoderRow(after, i)).not.toEqual(decoderRow(transcoder, i));
      for (let j = 0; j <= i; j++) {
        for (const part of [decoderRow, encoderColumn]) {
          const before = dot(part(transcoder, i), part(transcoder, j));
          expect(dot(part(after, i), part(after, j))).toBeCloseTo(before, 4);
        }
      }
    }
  });
});

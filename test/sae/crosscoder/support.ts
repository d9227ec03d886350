// Planted features of two models, and a crosscoder made by hand for them.
import type { Crosscoder } from "../../../sae/crosscoder/crosscoder.ts";
import type { CrosscoderFrame, PairBlock } from "../../../sae/crosscoder/measure-crosscoder.ts";
import { saeConfig } from "../../../sae/sae.ts";
import type { SequenceReader } from "../../../sae/shared-activations.ts";
import { createRng, type Rng } from "../../../src/engine/index.ts";

/** In which models a planted feature is. */
export type Owner = "shared" | "parent-only" | "child-only";

/** Rows of both models from the same activations: a feature's direction in the child is E times that in the parent. */
export interface Planted {
  readonly d: number;
  readonly D: number;
  readonly owners: readonly Owner[];
  readonly parent: Float32Array; // [n, d]
  readonly child: Float32Array; // [n, D]
  readonly active: Float32Array; // [n, features]
}

/** The map of planted pairs: the parent's coordinates are the child's first ones, twice as large. */
export function plantedFrame(d: number, D: number): CrosscoderFrame {
  return {
    toChild: (rows) => resized(rows, d, D, 2),
    toParent: (rows) => resized(rows, D, d, 0.5),
  };
}

function resized(rows: Float32Array, from: number, to: number, factor: number): Float32Array {
  const n = rows.length / from;
  return Float32Array.from({ length: n * to }, (_, at) => {
    const j = at % to;
    return j < from ? factor * rows[Math.floor(at / to) * from + j] : 0;
  });
}

/** n rows of sparse features with `directions` in the parent [features, d]; noise of a given size in every coordinate. */
export function plant(
  owners: readonly Owner[],
  directions: Float32Array,
  n: number,
  { d, D, rate, noise }: { d: number; D: number; rate: number; noise: number },
  rng: Rng,
): Planted {
  const { toChild } = plantedFrame(d, D);
  const inChild = toChild(directions);
  const active = new Float32Array(n * owners.length);
  const parent = Float32Array.from({ length: n * d }, () => noise * rng.normal());
  const child = Float32Array.from({ length: n * D }, () => 2 * noise * rng.normal());
  for (let t = 0; t < n; t++) {
    for (const [g, owner] of owners.entries()) {
      if (rng.next() >= rate) continue;
      const f = 1 + Math.abs(rng.normal());
      active[t * owners.length + g] = f;
      if (owner !== "child-only") {
        for (let j = 0; j < d; j++) parent[t * d + j] += f * directions[g * d + j];
      }
      if (owner !== "parent-only") {
        for (let j = 0; j < D; j++) child[t * D + j] += f * inChild[g * D + j];
      }
    }
  }
  return { d, D, owners, parent, child, active };
}

/** Directions drawn from the sphere [features, d]. */
export function randomDirections(features: number, d: number, seed: string): Float32Array {
  const rng = createRng(seed);
  const out = Float32Array.from({ length: features * d }, () => rng.normal());
  for (let g = 0; g < features; g++) {
    const row = out.subarray(g * d, (g + 1) * d);
    const norm = Math.hypot(...row);
    row.forEach((x, j) => {
      row[j] = x / norm;
    });
  }
  return out;
}

/** Blocks of planted rows, in sequences of eight. */
export function* plantedBlocks({ parent, child, d, D }: Planted, size = 512): Generator<PairBlock> {
  const n = parent.length / d;
  for (let from = 0; from < n; from += size) {
    const to = Math.min(n, from + size);
    yield {
      parent: parent.subarray(from * d, to * d),
      child: child.subarray(from * D, to * D),
      sequenceLength: 8,
    };
  }
}

/** Rows [n, width] as sequences of eight. */
export function rowsReader(name: string, rows: Float32Array, width: number): SequenceReader {
  const nSeq = Math.floor(rows.length / width / 8);
  return {
    hooks: [{ name, width }],
    nSeq,
    atOnce: 16,
    rowsIn: () => 8,
    async read(sequences) {
      const out = new Float32Array(sequences.length * 8 * width);
      sequences.forEach((s, i) => {
        out.set(rows.subarray(s * 8 * width, (s + 1) * 8 * width), i * 8 * width);
      });
      return [out];
    },
  };
}

/** A ReLU crosscoder with these joined encoder and decoder rows (each [latents][d + D]) and scales. */
export function handmade(
  d: number,
  D: number,
  encoder: readonly (readonly number[])[],
  decoder: readonly (readonly number[])[],
  scales: readonly [number, number] = [1, 1],
): Crosscoder {
  const [d_in, d_sae] = [d + D, decoder.length];
  const side = (model_name: string, width: number, scale: number) => ({
    ...{ model_name, hook_name: "blocks.0.hook_resid_post", d_in: width, scale },
  });
  return {
    sae: {
      cfg: saeConfig({ architecture: "standard", d_in, d_sae, hook_name: "joined" }),
      W_enc: Float32Array.from(
        { length: d_in * d_sae },
        (_, at) => encoder[at % d_sae][Math.floor(at / d_sae)],
      ),
      b_enc: new Float32Array(d_sae).fill(-0.2),
      W_dec: Float32Array.from(decoder.flat()),
      b_dec: new Float32Array(d_in),
      threshold: new Float32Array(d_sae),
    },
    parent: side("parent", d, scales[0]),
    child: side("child", D, scales[1]),
    tokens: 0,
  };
}

// Carrying through what is on disk: the map of every growth method, published, fitted or composed of two. Whatever the
// map, the carried SAE does on H what the parent's does on R H + r, and what it reconstructs is E x̂ + e.
import { beforeAll, expect, test } from "vitest";
import { carrySae, decode, encode, preActivations } from "../../sae/index.ts";
import { createRng, tf, useBackend } from "../../src/engine/index.ts";
import {
  composeMaps,
  type ExpandOptions,
  type ExpansionMap,
  expandModel,
  fitMaps,
  type GrowthFlags,
  growthMethods,
  mapKind,
  mapPoints,
  parseGrowth,
  pullBack,
  readMap,
  writeMap,
} from "../../src/expansion/index.ts";
import { gpt2Config, type HostModel, hookWidth, placeModel } from "../../src/models/index.ts";
import { testBackend } from "../support/backend.ts";
import { temporaryFolder } from "../support/folder.ts";
import { randomModel } from "../support/growth-f64.ts";
import { draw, fittedSae } from "./support/random-sae.ts";

const at = temporaryFolder();

beforeAll(async () => {
  await useBackend(testBackend);
});

const config = gpt2Config({
  vocab_size: 19,
  n_positions: 12,
  n_embd: 8,
  n_head: 2,
  n_layer: 2,
  n_inner: 11,
});
const parent = randomModel(config, 1);
const rng = createRng("text");
const sequences = (nSeq: number) => ({
  ids: Int32Array.from({ length: nSeq * 12 }, () => rng.int(19)),
  nSeq,
  context: 12,
});
const text = { fit: sequences(60), heldOut: sequences(20) };

const doubled = { width: 16, mlp: 22 };
const cases: readonly (readonly [string, GrowthFlags])[] = [
  ...Object.keys(growthMethods).map((method): [string, GrowthFlags] => {
    // zeros beside the stream shift a LayerNorm's mean
    const sizes = method === "gesmundo-maile" ? { mlp: 15 } : doubled;
    return [method, { method, ...sizes, ...(method === "ligo" && { "ligo-steps": 2 }) }];
  }),
  ["lemon with a remainder", { width: 20, mlp: 17 }],
  ["identity layers", { layers: 3, "depth-method": "identity" }],
  ["layers that cancel", { ...doubled, layers: 3, "depth-method": "cancel" }],
  ["stacked layers", { layers: 3, "depth-method": "stack" }],
  ["solar", { layers: 4, "depth-method": "solar" }],
];

async function grown(from: HostModel, options: ExpandOptions) {
  const place = { doc: new Int32Array(60), start: new Int32Array(60) };
  const learning = { train: { ...text.fit, ...place }, heldOut: { ...text.heldOut, ...place } };
  return expandModel(from, options, createRng(3), learning);
}

/** Every hook of a map that was written and read again. */
function check(name: string, map: ExpansionMap): Set<string> {
  const dir = at(name);
  writeMap(dir, map);
  const read = readMap(dir);
  const kinds = new Set<string>();
  for (const entry of read.hooks) {
    const { from, to, tensor } = entry;
    const { kind } = mapKind(entry);
    kinds.add(kind);
    const d = hookWidth(config, from);
    // a gated SAE has a second bias, which a fitted map moves too
    for (const architecture of [
      "topk",
      ...(kind === "fitted" ? ["gated" as const] : []),
    ] as const) {
      const sae = fittedSae(architecture, from, draw(from, 6 * d), 6);
      const { sae: carried, hook_name } = carrySae(sae, read);
      expect(hook_name).toBe(to[0]);
      const H = draw(`${from} child`, 6 * carried.cfg.d_in);
      const [X, x] = [
        tf.tensor2d(H, [6, carried.cfg.d_in]),
        tf.tensor2d(pullBack(read, tensor, H), [6, d]),
      ];
      const [big, small] = [preActivations(carried, X), preActivations(sae, x)];
      // a fitted map has large entries that nearly cancel: what f32 keeps of a sum is a share of its terms
      const terms = tf.max(
        tf.matMul(
          tf.abs(X),
          tf.abs(tf.tensor2d(carried.W_enc, [carried.cfg.d_in, carried.cfg.d_sae])),
        ),
      );
      expect(big.dataSync(), `${name}, ${from}`).toBeAllclose(small.dataSync(), {
        rtol: 1e-4,
        atol: 1e-4 + 1e-6 * terms.dataSync()[0],
      });
      const codes = encode(sae, x);
      const got = {
        codes: encode(carried, X),
        wanted: mapPoints(read, tensor, decode(sae, codes)),
      };
      expect(got.codes.latent, `${name}, ${from}`).toEqual(codes.latent);
      expect(decode(carried, got.codes), `${name}, ${from}`).toBeAllclose(got.wanted, {
        rtol: 1e-3,
        atol: 1e-3,
      });
      tf.dispose([X, x, big, small, terms]);
    }
  }
  return kinds;
}

test.each(cases)("%s: its written map carries, and its fitted one", async (name, flags) => {
  const { options } = parseGrowth({ "noise-db": false, ...flags }, config);
  const { child, map } = await grown(parent, options);
  const kinds = check(name, map);
  expect(kinds.has("exact")).toBe(true);
  if (map.exact) return;
  const [small, big] = [placeModel(parent), placeModel(child)];
  const fitted = await fitMaps(small, big, map, text);
  small.dispose();
  big.dispose();
  const seen = check(`${name}, fitted`, fitted);
  expect(seen.has("copied")).toBe(false);
  expect([...fitted.linear.keys()].some((key) => key.startsWith("fit:"))).toBe(true);
});

test("two expansions, one of them fitted, carry as one", async () => {
  const wider = await grown(parent, parseGrowth({ width: 20, mlp: 17 }, config).options);
  const deeper = { layers: 3, "depth-method": "stack" };
  const next = await grown(wider.child, parseGrowth(deeper, wider.child.config).options);
  const [small, big] = [placeModel(wider.child), placeModel(next.child)];
  const fitted = await fitMaps(small, big, next.map, text);
  small.dispose();
  big.dispose();
  expect(check("composed", composeMaps(wider.map, fitted))).toContain("fitted");
});

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  carrySae,
  checkCarry,
  encode,
  preActivations,
  type Sae,
  saeConfig,
} from "../../../sae/index.ts";
import { createRng, tf, useBackend } from "../../../src/engine/index.ts";
import {
  composeMaps,
  copySpread,
  type ExpandOptions,
  type ExpansionMap,
  expandModel,
  fitMaps,
  hookEntry,
  mapPoints,
  measureExactness,
  offImageEnergy,
  planExpansion,
  pullBack,
  readMap,
  writeMap,
} from "../../../src/expansion/index.ts";
import {
  activationsAt,
  gpt2Config,
  heldOutLoss,
  type Model,
  placeModel,
} from "../../../src/models/index.ts";
import { testBackend } from "../../support/backend.ts";
import { randomModel } from "../../support/growth-f64.ts";

const config = gpt2Config({
  vocab_size: 19,
  n_positions: 12,
  n_embd: 8,
  n_head: 2,
  n_layer: 3,
  n_inner: 11,
  layer_norm_epsilon: 1e-3,
});
const options: ExpandOptions = {
  method: "lemon",
  depth_method: "solar",
  positions: "interleaved",
  noise_db: 0,
  layers: 4, // 0 1 1 2
};

function sequences(seed: string, nSeq: number) {
  const rng = createRng(seed);
  return { ids: Int32Array.from({ length: nSeq * 12 }, () => rng.int(19)), nSeq, context: 12 };
}
const text = { fit: sequences("fit", 120), heldOut: sequences("held out", 40) };

let parent: Model;
let child: Model;
let planned: ExpansionMap;
let map: ExpansionMap;
let dir: string;
beforeAll(async () => {
  await useBackend(testBackend);
  const host = randomModel(config, 1);
  const grown = await expandModel(host, options, createRng(2));
  [parent, child, planned] = [placeModel(host), placeModel(grown.child), grown.map];
  map = await fitMaps(parent, child, planned, text);
  dir = mkdtempSync(join(tmpdir(), "sae-carry-fit-"));
});
afterAll(() => rmSync(dir, { recursive: true }));

const of = (maps: ExpansionMap, hook: string) => hookEntry(maps, hook)!;

describe("maps fitted on text", () => {
  test("stand where the method's is not exact, and take over where it has none", () => {
    for (const entry of map.hooks) {
      expect(entry.exact).toBe(entry.fit === null);
      if (entry.fit !== null) {
        expect(entry.tensor).toBe(entry.fit);
        expect(entry.r2).toBeGreaterThan(0.2);
        expect(entry.r2).toBeLessThan(1);
        expect(entry.r2 as number).toBeGreaterThan(entry.r2_unfitted as number);
      }
    }
    expect(of(map, "blocks.2.hook_resid_post").fit).toBe("fit:blocks.2.hook_resid_post");
    expect(of(map, "blocks.1.hook_resid_post").fit).toBeNull();
    expect(of(planned, "blocks.2.hook_resid_post").tensor).toBe("identity");
  });

  test("have the R² that the definition gives on the held-out tokens", async () => {
    const hook = "blocks.2.hook_resid_post";
    const { to, tensor, r2, r2_unfitted } = of(map, hook);
    const rows = (model: Model, name: string): Float32Array => {
      const all = tf.tidy(() => activationsAt(model, text.heldOut.ids, 40, name).dataSync());
      return Float32Array.from(all).filter((_, i) => Math.floor(i / 8) % 12 > 0); // not the first tokens
    };
    const [x, y] = [rows(parent, hook), rows(child, to[0])];
    const n = y.length / 8;
    const mean = Array.from({ length: 8 }, (_, j) => {
      let sum = 0;
      for (let i = j; i < y.length; i += 8) sum += y[i];
      return sum / n;
    });
    const score = (guess: Float32Array) => {
      let [error, variance] = [0, 0];
      y.forEach((value, i) => {
        error += (value - guess[i]) ** 2;
        variance += (value - mean[i % 8]) ** 2;
      });
      return 1 - error / variance;
    };
    expect(r2).toBeCloseTo(score(mapPoints(map, tensor, x)), 4);
    expect(r2_unfitted).toBeCloseTo(score(x), 4);
  });

  test("are the same when hooks go through the text one by one", async () => {
    const again = await fitMaps(parent, child, planned, text, { sumBytes: 1, batchSequences: 7 });
    for (const [i, { fit, r2 }] of again.hooks.entries()) {
      expect(fit).toBe(map.hooks[i].fit);
      if (r2 !== null) expect(r2).toBeCloseTo(map.hooks[i].r2 as number, 4);
    }
  });

  test("are fewer where they would take too much: those asked for, then evenly spread ones, the final norm's always", async () => {
    const host = randomModel(config, 1);
    const growth = { ...options, method: "bert2bert-fpi" as const, layers: 3, width: 12 };
    const grown = await expandModel(host, growth, createRng(2));
    const big = placeModel(grown.child);
    const fits = async (mapBytes: number, hooks: string[] = []) => {
      const found = await fitMaps(parent, big, grown.map, text, { mapBytes, hooks });
      return [...found.linear.keys()]
        .filter((key) => key.startsWith("fit:"))
        .map((key) => key.slice(4));
    };
    const one = 16 * 8 * 12; // bytes of a map of the stream; there are seven such boundaries
    expect(await fits(4 * one)).toEqual([
      "blocks.0.hook_resid_mid",
      "blocks.1.hook_resid_mid",
      "blocks.2.hook_resid_mid",
      "ln_final.hook_normalized",
    ]);
    expect(await fits(0, ["blocks.2.hook_resid_pre", "blocks.1.mlp.hook_post"])).toEqual([
      "blocks.1.mlp.hook_post",
      "blocks.1.hook_resid_post", // the same boundary as the one asked for
    ]);
    expect((await fits(2 ** 30)).length).toBeGreaterThan(12);
    big.dispose();
  });

  test("come back from the disk in f32", () => {
    writeMap(dir, map);
    const back = readMap(dir);
    expect(back.hooks).toEqual(map.hooks);
    const key = "fit:ln_final.hook_normalized";
    const [got, want] = [back.linear.get(key)!, map.linear.get(key)!];
    expect(got.E).toEqual(Float64Array.from(want.E, Math.fround));
    expect(got.offset?.r).toEqual(Float64Array.from(want.offset!.r, Math.fround));
    expect(() => measureExactness(parent, child, back, text.fit.ids, 120)).not.toThrow();
  });

  test("have no image to be off, and no copies to spread", async () => {
    const H = new Float32Array(24).fill(1);
    expect(await offImageEnergy(map, "fit:ln_final.hook_normalized", H)).toBeNull();
    expect(await copySpread(map, "fit:ln_final.hook_normalized", H)).toBeNull();
  });

  test("are not needed for an exact growth", async () => {
    const host = randomModel(config, 1);
    const exact = await expandModel(
      host,
      { ...options, depth_method: "identity", width: 12 },
      createRng(2),
    );
    const grown = placeModel(exact.child);
    expect((await fitMaps(parent, grown, exact.map, text)).hooks).toEqual(exact.map.hooks);
    grown.dispose();
  });

  test("stand beside a method's own map, which stays in use", async () => {
    const net2net = await expandModel(
      randomModel(config, 1),
      { ...options, method: "net2net", depth_method: "identity", layers: 3, width: 12 },
      createRng(2),
    );
    const grown = placeModel(net2net.child);
    const fitted = await fitMaps(parent, grown, net2net.map, text);
    const { tensor, fit, published, exact, r2, r2_unfitted } = of(
      fitted,
      "blocks.1.hook_resid_post",
    );
    expect([tensor, fit]).toEqual(["residual", "fit:blocks.1.hook_resid_post"]);
    expect([published, exact]).toEqual([true, false]);
    expect(r2 as number).toBeGreaterThan(r2_unfitted as number);
    // the stream below a layer is the stream above the layer before: one map for both
    expect(of(fitted, "blocks.2.hook_resid_pre").fit).toBe("fit:blocks.1.hook_resid_post");
    expect(of(fitted, "hook_embed").exact).toBe(true);
    grown.dispose();
  });
});

describe("an SAE carried through a fitted map", () => {
  const hook = "blocks.2.hook_resid_post";
  const rng = createRng("sae");
  const draw = (n: number) => Float32Array.from({ length: n }, () => rng.normal());
  const sae: Sae = {
    cfg: saeConfig({ architecture: "topk", d_in: 8, d_sae: 16, k: 3, hook_name: hook }),
    W_enc: draw(8 * 16),
    b_enc: draw(16),
    W_dec: draw(16 * 8),
    b_dec: draw(8),
    threshold: null,
  };

  test.each([
    ["topk", sae],
    ["without b_dec at its input", { ...sae, cfg: { ...sae.cfg, apply_b_dec_to_input: false } }],
    [
      "gated",
      {
        ...sae,
        cfg: saeConfig({ architecture: "gated", d_in: 8, d_sae: 16, hook_name: hook }),
        gate: { r_mag: draw(16), b_mag: draw(16) },
      },
    ],
  ] as [string, Sae][])("sees the child's activations as its parent's, R H + r: %s", (_, given) => {
    const carried = carrySae(given, map);
    const H = draw(5 * 8);
    const h = pullBack(map, `fit:${hook}`, H);
    const [got, want] = tf.tidy(() => [
      preActivations(carried.sae, tf.tensor2d(H, [5, 8])).dataSync(),
      preActivations(given, tf.tensor2d(h, [5, 8])).dataSync(),
    ]);
    expect(got).toBeAllclose(want, { atol: 1e-4 });
    const codesOf = (of: Sae, rows: Float32Array) => {
      const x = tf.tensor2d(rows, [5, 8]);
      const codes = encode(of, x);
      x.dispose();
      return codes;
    };
    const [codes, wanted] = [codesOf(carried.sae, H), codesOf(given, h)];
    expect(codes.latent).toEqual(wanted.latent);
    expect(codes.value).toBeAllclose(wanted.value, { atol: 1e-4 });
    expect(carried.sae.b_dec).toBeAllclose(mapPoints(map, `fit:${hook}`, given.b_dec));
    expect(carried.hook_name).toBe("blocks.3.hook_resid_post");
  });

  test("keeps some latents and not all", async () => {
    const carried = carrySae(sae, map);
    const check = await checkCarry(sae, carried, map, parent, child, text.heldOut);
    expect(check.same_latents).toBeGreaterThan(0.1);
    expect(check.same_latents).toBeLessThan(0.999);
  });
});

describe("composed with another expansion", () => {
  test("a fitted map is still one, without an R²", () => {
    const wider = { ...options, depth_method: "identity" as const, layers: 5, width: 20 };
    const second = planExpansion({ ...config, n_layer: 4 }, wider, createRng(3)).map;
    const both = composeMaps(map, second);
    const from = "blocks.2.hook_resid_post";
    const entry = of(both, from);
    expect(entry).toMatchObject({
      tensor: `fit:${from}`,
      fit: `fit:${from}`,
      exact: false,
      r2: null,
    });
    const x = Float32Array.from({ length: 16 }, (_, i) => Math.sin(i));
    const middle = mapPoints(map, `fit:${from}`, x);
    const want = mapPoints(second, "residual", middle);
    expect(mapPoints(both, entry.tensor, x)).toBeAllclose(want, { atol: 1e-5 });
    expect(pullBack(both, entry.tensor, want)).toBeAllclose(pullBack(map, `fit:${from}`, middle), {
      atol: 1e-5,
    });
    // what the first expansion kept exactly is mapped as ever
    expect(of(both, "blocks.0.hook_resid_post")).toMatchObject({ tensor: "residual", exact: true });
    writeMap(dir, both);
    expect(readMap(dir).hooks).toEqual(both.hooks);
  });

  test("layers that repeat and repeat again are all named", () => {
    const stacked = { ...options, depth_method: "stack" as const };
    const first = planExpansion(config, { ...stacked, layers: 6 }, createRng(1)).map;
    const deeper = { ...config, n_layer: 6 };
    const second = planExpansion(deeper, { ...stacked, layers: 8 }, createRng(1)).map;
    const both = composeMaps(first, second); // 0 1 2 0 1 2 0 1
    expect(both.layers).toEqual([
      [0, 6, 3],
      [1, 7, 4],
      [2, 5],
    ]);
    expect(both.exact).toBe(false);
    expect(of(both, "blocks.2.hook_resid_post")).toMatchObject({
      to: ["blocks.2.hook_resid_post"],
      tensor: "identity",
      exact: true,
    });
  });

  test("of equal boundaries those stay that the second expansion keeps", () => {
    const first = planExpansion(
      config,
      { ...options, depth_method: "identity", layers: 6 },
      createRng(1),
    );
    // 0 0z 1 1z 2 2z, of which solar keeps the first four in order: 0 0z 1 1z | 1 1z 2 2z
    const second = planExpansion(
      { ...config, n_layer: 6 },
      { ...options, layers: 8 },
      createRng(1),
    ).map;
    const both = composeMaps(first.map, second);
    expect(of(both, "blocks.0.hook_resid_post").to).toEqual([
      "blocks.1.hook_resid_post",
      "blocks.0.hook_resid_post",
    ]);
    expect(of(both, "blocks.1.hook_resid_post").exact).toBe(true);
    expect(of(both, "blocks.2.hook_resid_post").exact).toBe(false);
  });
});

test("both losses are those of a separate measurement", async () => {
  const { ids } = text.heldOut;
  const { loss_parent, loss_child } = await measureExactness(parent, child, map, ids, 40);
  expect(loss_parent).toBeCloseTo((await heldOutLoss(parent, ids, 12)).loss, 4);
  expect(loss_child).toBeCloseTo((await heldOutLoss(child, ids, 12)).loss, 4);
  expect(loss_child).not.toBeCloseTo(loss_parent as number, 2);
});

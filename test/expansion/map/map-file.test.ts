import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createRng } from "../../../src/engine/index.ts";
import {
  composeMaps,
  type ExpandOptions,
  type ExpansionMap,
  headCopies,
  mapReadouts,
  mapVectors,
  neuronCopies,
  planExpansion,
  pullBack,
  readMap,
  vectorMap,
  writeMap,
} from "../../../src/expansion/index.ts";
import { readSafetensors, UsageError, writeSafetensors } from "../../../src/io/index.ts";
import { gpt2Config } from "../../../src/models/index.ts";
import { naivePinv } from "../../support/linear-f64.ts";

const config = gpt2Config({
  vocab_size: 9,
  n_positions: 4,
  n_embd: 6,
  n_head: 2,
  n_layer: 2,
  n_inner: 5,
});
const options: ExpandOptions = {
  method: "lemon",
  depth_method: "identity",
  positions: [0],
  noise_db: 10,
  width: 15,
  layers: 3,
  mlp: 7,
};
const exactness = {
  max_abs_dlogit: 1e-6,
  kl: 1e-12,
  loss_parent: 2.5,
  loss_child: 2.5,
  boundaries: [{ hook_from: "blocks.0.hook_resid_pre", hook_to: "x", rel_err: 1e-7 }],
  tokens: 16,
};
const map: ExpansionMap = { ...planExpansion(config, options, createRng(1)).map, exactness };
let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "sae-carry-map-"));
});
afterEach(() => rmSync(dir, { recursive: true }));

describe("a map on disk", () => {
  it("comes back as it was written", () => {
    writeMap(dir, map);
    expect(readMap(dir)).toEqual(map);
  });

  it("has the documented fields and tensors", () => {
    writeMap(dir, map);
    const json = JSON.parse(readFileSync(join(dir, "map.json"), "utf8"));
    expect(json).toMatchObject({
      format: "sae-carry/map",
      version: 1,
      method: "lemon+identity",
      exact: true,
      layers: { "0": [0], "1": [2] },
      heads: { "0": "head_map:0" },
      experts: null,
      exactness: { max_abs_dlogit: 1e-6 },
    });
    expect(json.hooks[0]).toEqual({
      from: "hook_embed",
      to: ["hook_embed"],
      tensor: "residual",
      exact: true,
      published: true,
      fit: null,
      r2: null,
      r2_unfitted: null,
    });
    const { tensors } = readSafetensors(join(dir, "map.safetensors"));
    expect(tensors.get("E:residual")?.shape).toEqual([15, 6]);
    expect(tensors.get("R:residual")?.shape).toEqual([6, 15]);
    expect([...(tensors.get("head_map:0")!.data as Int32Array)]).toEqual([0, 1, 0, 1, 0]);
    expect([...(tensors.get("head_map:1")!.data as Int32Array)]).toEqual([-1, -1, -1, -1, -1]);
    expect(tensors.get("neuron_alpha:2")?.data).toBeInstanceOf(Float32Array);
  });

  const damaged: [string, (json: Record<string, unknown>) => void][] = [
    ["a version of the future", (json) => Object.assign(json, { version: 2 })],
    ["no hooks", (json) => Object.assign(json, { hooks: "many" })],
    ["an unknown tensor", (json) => Object.assign((json.hooks as object[])[0], { tensor: "F" })],
    ["a hook that goes nowhere", (json) => Object.assign((json.hooks as object[])[0], { to: [] })],
    ["a layer out of range", (json) => Object.assign(json, { layers: { "0": [0], "1": [3] } })],
    ["another width", (json) => Object.assign(json.child as object, { d_model: 16 })],
  ];
  it.each(damaged)("is refused with %s", (_, damage) => {
    writeMap(dir, map);
    const path = join(dir, "map.json");
    const json = JSON.parse(readFileSync(path, "utf8"));
    damage(json);
    writeFileSync(path, JSON.stringify(json));
    expect(() => readMap(dir)).toThrow(UsageError);
  });

  it("is refused with a head that the parent does not have", () => {
    writeMap(dir, map);
    const path = join(dir, "map.safetensors");
    const { tensors, metadata } = readSafetensors(path);
    tensors.set("head_map:0", { shape: [5], data: Int32Array.of(0, 1, 2, 0, 1) });
    writeSafetensors(path, tensors, metadata);
    expect(() => readMap(dir)).toThrow("head_map:0");
  });
});

describe("vectors through a map", () => {
  const random = (n: number, seed: number) => {
    const rng = createRng(seed);
    return Float64Array.from({ length: n }, () => rng.normal());
  };

  it.each([
    ["residual", 6],
    ["final", 6],
    ["head_map:0", 6],
    ["neuron_map:2", 5],
    ["identity", 6],
  ])("come back by R, and readouts read the same: %s", (tensor, d) => {
    const rows = random(3 * d, 1);
    const readouts = random(3 * d, 2);
    const big = mapVectors(map, tensor, rows);
    expect(pullBack(map, tensor, big)).toBeAllclose(rows, { atol: 1e-12 });
    const bigReadouts = mapReadouts(map, tensor, readouts);
    const D = big.length / 3;
    for (const i of [0, 1, 2]) {
      const dot = (a: Float64Array, b: Float64Array, n: number) =>
        a.subarray(i * n, (i + 1) * n).reduce((sum, value, j) => sum + value * b[i * n + j], 0);
      expect(dot(big, bigReadouts, D)).toBeCloseTo(dot(rows, readouts, d), 10);
    }
  });

  it("lists the copies of heads and neurons with shares that sum to 1", () => {
    const copies = headCopies(map, 1, 0);
    expect(copies.map(({ layer, index }) => [layer, index])).toEqual([
      [2, 0],
      [2, 2],
      [2, 4],
    ]);
    expect(copies.reduce((sum, { alpha }) => sum + alpha, 0)).toBe(1);
    expect(neuronCopies(map, 0, 4)).toEqual([{ layer: 0, index: 4, alpha: 1 }]);
  });

  it("are an internal error for a tensor that is not there", () => {
    expect(() => vectorMap(map, "residue")).toThrow("internal: the expansion map has no tensor");
  });
});

describe("composeMaps", () => {
  const child = { ...config, n_embd: 15, n_head: 5, n_layer: 3, n_inner: 7 };
  const next: ExpandOptions = { ...options, width: 33, layers: 5, mlp: 20, positions: [-1, 0] };
  const second = planExpansion(child, next, createRng(2)).map;
  const both = composeMaps(map, second);

  it("is one map after the other on every hook", () => {
    for (const { from, to, tensor } of map.hooks) {
      const length = 2 * (tensor.startsWith("neuron") ? 5 : 6);
      const rows = Float64Array.from({ length }, (_, i) => Math.sin(i + 1));
      const via = second.hooks.find((hook) => hook.from === to[0])!;
      const entry = both.hooks.find((hook) => hook.from === from)!;
      const step = mapVectors(map, tensor, rows);
      const want = mapVectors(second, via.tensor, step);
      expect(mapVectors(both, entry.tensor, rows), from).toBeAllclose(want, { atol: 1e-12 });
      expect(pullBack(both, entry.tensor, want), from).toBeAllclose(rows, { atol: 1e-12 });
      if (both.linear.has(entry.tensor)) {
        expect(mapReadouts(both, entry.tensor, rows), from).toBeAllclose(
          mapReadouts(second, via.tensor, mapReadouts(map, tensor, rows)),
          { atol: 1e-12 },
        );
      }
      expect(entry.to[0]).toBe(via.to[0]);
    }
  });

  it("keeps the Moore–Penrose inverse of the residual stream", () => {
    const { E, R, d, D } = both.linear.get("residual")!;
    expect(R).toBeAllclose(naivePinv(E, D, d), { atol: 1e-12 });
  });

  it("names the earliest boundary second and keeps all between", () => {
    // 0 → identity after 0, then identity after 0 again: four equal boundaries, one before the first
    const entry = both.hooks.find(({ from }) => from === "blocks.0.hook_resid_post")!;
    expect(entry.to).toEqual([
      "blocks.3.hook_resid_post",
      "blocks.1.hook_resid_post",
      "blocks.2.hook_resid_post",
    ]);
  });

  it("composes layers, heads and fresh parameters", () => {
    expect(both.layers).toEqual([[1], [4]]);
    expect([...both.heads[1].source]).toEqual([0, 1, 0, 1, 0, 0, 1, 0, 1, 0, 0]);
    const share = headCopies(both, 0, 1).reduce((sum, { alpha }) => sum + alpha, 0);
    expect(share).toBeCloseTo(1, 12);
    expect([...both.heads[3].source].every((from) => from === -1)).toBe(true);
    const blocks = new Set(both.fresh.map((name) => name.split(".")[2]));
    expect([...blocks].sort()).toEqual(["0", "2", "3"]);
  });
});

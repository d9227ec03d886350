import { describe, expect, it } from "vitest";
import { createRng } from "../../../src/engine/index.ts";
import { expandModel } from "../../../src/expansion/index.ts";
import { FRESH } from "../../../src/expansion/plan/axis-map.ts";
import { gesmundoMaile } from "../../../src/expansion/width/gesmundo-maile.ts";
import { everyFamily, roughModel } from "../../support/rough-models.ts";

describe("Gesmundo & Maile's growth", () => {
  it("puts zeros behind the stream: 2 → 3 by hand", () => {
    const stream = gesmundoMaile.stream(2, 3, { norm: "rms", tied: true }, createRng(0));
    for (const axis of [stream.read, stream.write, stream.norm, stream.finalNorm]) {
      expect(axis).toEqual({ source: Int32Array.of(0, 1, FRESH), weight: null });
    }
    expect([...(stream.residual?.E ?? [])]).toEqual([1, 0, 0, 1, 0, 0]);
    expect([...(stream.residual?.R ?? [])]).toEqual([1, 0, 0, 0, 1, 0]);
    // [3, 4, 0]: mean square 25/3 where it was 25/2
    expect(stream.gainFactor ** 2).toBeCloseTo(2 / 3, 15);
    expect(gesmundoMaile.epsFactor(2, 3)).toBe(2 / 3);
  });

  it("has new units without a parent, that write nothing yet", () => {
    const { source, alpha } = gesmundoMaile.units(2, 4, createRng(0));
    expect([...source]).toEqual([0, 1, -1, -1]);
    expect([...alpha]).toEqual([1, 1, 0, 0]);
  });

  it("draws what new heads and neurons read, and zeroes what they write", async () => {
    const parent = roughModel(
      everyFamily["llama with biases, one key head, Llama 3.1's frequencies"],
      1,
    );
    const { child } = await expandModel(
      parent,
      {
        method: "gesmundo-maile",
        depth_method: "identity",
        positions: "top",
        noise_db: 0,
        heads: 8,
        mlp: 40,
        width: 32,
      },
      createRng(1),
    );
    const rows = (name: string, first: number, width: number) =>
      (child.weights.get(`model.layers.1.${name}.weight`)!.data as Float32Array).subarray(
        first * width,
      );
    for (const [name, first] of [
      ["self_attn.q_proj", 40],
      ["self_attn.k_proj", 10],
      ["self_attn.v_proj", 10],
      ["mlp.gate_proj", 37],
      ["mlp.up_proj", 37],
    ] as const) {
      const fresh = rows(name, first, 32);
      expect(fresh.length, name).toBeGreaterThan(32);
      expect(fresh.filter((value) => value === 0).length, name).toBe(0);
    }
    for (const [name, units, was] of [
      ["self_attn.o_proj", 80, 40],
      ["mlp.down_proj", 40, 37],
    ] as const) {
      const data = rows(name, 0, units);
      expect(data.length).toBe(32 * units);
      data.forEach((value, i) => {
        const inherited = i % units < was && Math.floor(i / units) < 28;
        expect(value !== 0, `${name} ${i}`).toBe(inherited);
      });
    }
  });
});

import { describe, expect, it } from "vitest";
import { createRng } from "../../../src/engine/index.ts";
import { hypercloning } from "../../../src/expansion/width/hypercloning.ts";

describe("HyperCloning", () => {
  it("repeats the stream and divides what reads it by n: 2 → 4 by hand", () => {
    const stream = hypercloning.stream(2, 4, { norm: "layer", tied: true }, createRng(0));
    expect([...stream.read.source]).toEqual([0, 1, 0, 1]);
    expect([...(stream.read.weight ?? [])]).toEqual([0.5, 0.5, 0.5, 0.5]);
    expect(stream.write).toEqual({ source: Int32Array.of(0, 1, 0, 1), weight: null });
    expect(stream.norm).toEqual(stream.write);
    expect(stream.gainFactor).toBe(1);
    expect(hypercloning.epsFactor(2, 4)).toBe(1);
    expect([...(stream.residual?.E ?? [])]).toEqual([1, 0, 0, 1, 1, 0, 0, 1]);
    // EᵀE = 2I, so R = Eᵀ/2
    expect([...(stream.residual?.R ?? [])]).toEqual([0.5, 0, 0.5, 0, 0, 0.5, 0, 0.5]);
  });

  it("takes the copies of tied embeddings back in the final norm, and of others not", () => {
    const final = (tied: boolean) =>
      hypercloning.stream(2, 4, { norm: "rms", tied }, createRng(0)).final;
    expect([...(final(true)?.E ?? [])]).toEqual([0.5, 0, 0, 0.5, 0.5, 0, 0, 0.5]);
    // EᵀE = I/2
    expect([...(final(true)?.R ?? [])]).toEqual([1, 0, 1, 0, 0, 1, 0, 1]);
    expect([...(final(false)?.E ?? [])]).toEqual([1, 0, 0, 1, 1, 0, 0, 1]);
  });

  it("repeats heads and neurons with equal shares", () => {
    const { source, alpha } = hypercloning.units(2, 6, createRng(0));
    expect([...source]).toEqual([0, 1, 0, 1, 0, 1]);
    expect([...alpha]).toEqual(Array(6).fill(1 / 3));
  });
});

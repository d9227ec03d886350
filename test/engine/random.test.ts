import { describe, expect, test } from "vitest";
import { createRng } from "../../src/engine/index.ts";

const take = (n: number, draw: () => number): number[] => Array.from({ length: n }, draw);

describe("createRng(seed)", () => {
  test("gives the same numbers for the same seed, others for another", () => {
    const [a, b, c] = [createRng(1), createRng(1), createRng(2)].map((rng) =>
      take(5, () => rng.next()),
    );
    expect(a).toEqual(b);
    expect(a).not.toEqual(c);
  });

  test("forks by name, wherever the parent stands", () => {
    const parent = createRng(7);
    const early = parent.fork("x").next();
    parent.next();
    expect(parent.fork("x").next()).toBe(early);
    expect(parent.fork("y").next()).not.toBe(early);
    expect(createRng("7/x").next()).toBe(early);
  });

  test("is uniform and normal in its first two moments", () => {
    const rng = createRng("moments");
    const uniform = take(50_000, () => rng.next());
    const mean = (xs: number[]): number => xs.reduce((a, b) => a + b, 0) / xs.length;
    expect(mean(uniform)).toBeCloseTo(0.5, 2);
    expect(mean(uniform.map((x) => (x - 0.5) ** 2))).toBeCloseTo(1 / 12, 2);
    const normal = take(50_000, () => rng.normal());
    expect(Math.abs(mean(normal))).toBeLessThan(0.02);
    expect(Math.abs(mean(normal.map((x) => x * x)) - 1)).toBeLessThan(0.03);
    expect(Math.abs(mean(normal.map((x) => x ** 4)) - 3)).toBeLessThan(0.15);
  });

  test("seeds that differ little give streams that agree on nothing", () => {
    const firsts = new Set(take(1000, () => 0).map((_, i) => createRng(i).next()));
    expect(firsts.size).toBe(1000);
  });

  test("int(n) covers 0…n−1 evenly and refuses n < 1", () => {
    const rng = createRng(3);
    const counts = [0, 0, 0];
    for (let i = 0; i < 30_000; i++) counts[rng.int(3)]++;
    for (const count of counts) expect(Math.abs(count - 10_000)).toBeLessThan(400);
    expect(() => rng.int(0)).toThrow(/positive integer/);
  });

  test("shuffle permutes", () => {
    const values = Int32Array.from({ length: 100 }, (_, i) => i);
    createRng(5).shuffle(values);
    expect([...values]).not.toEqual(take(100, () => 0).map((_, i) => i));
    expect([...values].sort((a, b) => a - b)).toEqual(take(100, () => 0).map((_, i) => i));
  });
});

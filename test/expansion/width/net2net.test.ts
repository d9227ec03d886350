import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createRng } from "../../../src/engine/index.ts";
import { net2net } from "../../../src/expansion/width/net2net.ts";
import { selectionMap } from "../../../src/expansion/width/selected-stream.ts";
import { naivePinv } from "../../support/linear-f64.ts";

describe("Net2Net's wider step", () => {
  it("goes round, and copies share what reads them: 2 → 3 by hand", () => {
    const stream = net2net.stream(2, 3, { norm: "layer", tied: true }, createRng(0));
    expect([...stream.write.source]).toEqual([0, 1, 0]);
    expect([...(stream.read.weight ?? [])]).toEqual([0.5, 1, 0.5]);
    expect([...(stream.residual?.E ?? [])]).toEqual([1, 0, 0, 1, 1, 0]);
    // EᵀE = diag(2, 1)
    expect([...(stream.residual?.R ?? [])]).toEqual([0.5, 0, 0.5, 0, 1, 0]);
    // tied embeddings have coordinate 0 twice
    expect([...(stream.final?.E ?? [])]).toEqual([0.5, 0, 0, 1, 0.5, 0]);
    expect([stream.gainFactor, net2net.epsFactor(2, 3)]).toEqual([1, 1]);
  });

  it("is exact where every coordinate is copied equally often, and says why elsewhere", () => {
    expect(net2net.whyInexact(30, 60)).toBeNull();
    expect(net2net.whyInexact(30, 30)).toBeNull();
    expect(net2net.whyInexact(30, 40)).toContain("40 is no multiple of 30");
  });

  it("shares neurons equally among their copies", () => {
    const { source, alpha } = net2net.units(3, 5, createRng(0));
    expect([...source]).toEqual([0, 1, 2, 0, 1]);
    expect([...alpha]).toEqual([0.5, 0.5, 1, 0.5, 0.5]);
  });

  it("has the Moore–Penrose inverse in closed form, weights and zeros too", () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: -2, max: 3 }), { maxLength: 9 }),
        fc.nat(1000),
        (more, seed) => {
          const source = Int32Array.from([0, 1, 2, 3, ...more]);
          const rng = createRng(seed);
          const weight = Float64Array.from(source, () => 0.2 + rng.next());
          const { E, R } = selectionMap({ source, weight }, 4);
          expect(R).toBeAllclose(naivePinv(E, source.length, 4), { atol: 1e-12 });
        },
      ),
    );
  });
});

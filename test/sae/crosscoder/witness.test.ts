// A crosscoder's word on an SAE's latents, and its agreement with verdicts, by hand.
import { expect, test } from "vitest";
import { crosscoderDocument, kappa } from "../../../sae/crosscoder/document.ts";
import { crosscoderWitness } from "../../../sae/crosscoder/witness.ts";
import { handmade } from "./support.ts";

/** Codes of n tokens from each latent's active tokens, all of value 1 + token. */
function codes(n: number, active: readonly (readonly number[])[]) {
  const rows = Array.from({ length: n }, (_, t) =>
    active.flatMap((tokens, i) => (tokens.includes(t) ? [i] : [])),
  );
  return {
    ...{ nTokens: n, dSae: active.length },
    rowStart: Int32Array.from([0, ...rows.map((_, t) => rows.slice(0, t + 1).flat().length)]),
    latent: Int32Array.from(rows.flat()),
    value: Float32Array.from(rows.flatMap((latents, t) => latents.map(() => 1 + (t % 3)))),
  };
}

test("a latent is found by function, and takes its counterpart's class", () => {
  const sae = codes(12, [[0, 1, 2], [4, 5], [7, 8, 9], [11]]); // prettier-ignore
  const crosscoder = codes(12, [[4, 5], [0, 1, 2], [7], [3]]); // prettier-ignore
  const classes = ["parent-only", "shared", "child-only", "shared"] as const;
  const {
    latent,
    classes: said,
    correlation,
  } = crosscoderWitness(...[sae, { codes: crosscoder, classes }, [0.5, 0.5, 0.5, 0.5], 0.7]);
  // latent 2 has a counterpart on one of its three tokens only, latent 3 none at all
  expect([...latent]).toEqual([1, 0, 2, -1]);
  expect(said).toEqual(["shared", "parent-only", "none", "none"]);
  expect(correlation[0]).toBeCloseTo(1, 10);
  expect(correlation[3]).toBeNaN();
});

test("κ by hand, and none where one side says one thing alone", () => {
  // 20 + 15 of 50 agree, chance (25·30 + 25·20)/2500 = .5: κ = (.7 − .5)/.5
  expect(kappa([20, 5], [10, 15])).toBeCloseTo(0.4, 12);
  expect(kappa([0, 0], [0, 0])).toBeNull();
  expect(kappa([8, 0], [0, 0])).toBeNull();
  expect(kappa([5, 0], [0, 5])).toBe(1);
});

test("the document counts verdicts by the crosscoder's word", () => {
  const crosscoder = handmade(1, 1, [[1, 0]], [[1, 0]]);
  const threshold = { floor: 0, null_p99: null, used: 0 };
  const verdicts = ["persisted", "persisted", "died", "persisted", "died", "unknown"];
  const classes = ["shared", "none", "parent-only", "child-only", "shared", "unknown"] as const;
  const document = crosscoderDocument(
    {
      crosscoder,
      measures: { l0: 2, fvuParent: 0.1, fvuChild: 0.2 } as never,
      sorted: {
        classes: ["shared", "shared", "unknown", "child-only"],
        byNorm: ["shared", "parent-only", "unknown", "child-only"],
        artefact: [null, "decoupling", null, null],
        aligned: Uint8Array.of(1, 0, 0, 0),
        thresholds: {
          normRatio: threshold,
          nuError: threshold,
          nuReconstruction: threshold,
          cosine: threshold,
        },
      },
    },
    verdicts,
    { latent: new Int32Array(6), correlation: new Float64Array(6), classes },
    null,
  );
  expect(document.latents).toEqual({ unknown: 1, shared: 2, parent_only: 0, child_only: 1 });
  expect(document.by_norm).toEqual({ unknown: 1, shared: 1, parent_only: 1, child_only: 1 });
  expect(document.unmasked).toEqual({ shrinkage: 0, decoupling: 1 });
  const none = { unknown: 0, shared: 0, parent_only: 0, child_only: 0, aligned: 0, none: 0 };
  expect(document.verdicts).toEqual([
    { ...none, verdict: "died", shared: 1, aligned: 1, parent_only: 1 },
    { ...none, verdict: "persisted", shared: 1, aligned: 1, child_only: 1, none: 1 },
    { ...none, verdict: "unknown", unknown: 1 },
  ]);
  expect(document.persisted_shared).toBe(0.5);
  expect(document.died_parent_only).toBe(0.5);
  // of those that both judge: persisted-shared 1, died-shared 1, died-parent-only 1
  expect(document.kappa).toBeCloseTo((2 / 3 - 4 / 9) / (5 / 9), 12);
});

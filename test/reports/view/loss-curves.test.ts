import { expect, test } from "vitest";
import type { MetricPoint } from "../../../reports/run-data/whole-run.ts";
import { lossCurves } from "../../../reports/view/loss-curves.ts";
import { evaluation, run, stage } from "../small-run.ts";

const point = (
  name: string,
  arm: string,
  tokens: number,
  loss: number | null,
  phase: string = "lm",
): MetricPoint => ({
  stage: name,
  arm,
  phase,
  sae: null,
  tokens,
  flops: arm === "scratch" ? null : tokens * 10,
  held_out_loss: loss,
  fvu: null,
  l0: null,
  dead_fraction: null,
});

const metrics = [
  point("00-base", "carried", 0, 7),
  point("00-base", "carried", 50, null),
  point("00-base", "carried", 100, 4.5),
  point("01-wider", "carried", 200, 4.2),
  point("01-wider", "carried", 100, 4.5),
  point("01-wider", "no-expand", 200, 4.3),
  point("01-wider", "scratch", 200, 4),
  point("01-wider", "carried", 300, 0.1, "sae"),
];
const wholeRun = run(
  [
    stage("00-base", { evaluation: evaluation(64, 4.5) }),
    stage("01-wider", {
      evaluation: evaluation(96, 4.21, {
        controls: {
          scratch: { held_out_loss: 4.01, tokens_trained: 200, flops_trained: 1 },
          "no-expand": { held_out_loss: null, tokens_trained: 200, flops_trained: 1 },
        },
        exactness: {
          max_abs_dlogit: 6.1e-6,
          kl: 0,
          loss_parent: null,
          loss_child: null,
          boundaries: [],
        },
      }),
    }),
  ],
  { metrics },
);

test("the grown line, the controls and the expansion stand on one axis of tokens", () => {
  const view = lossCurves(wholeRun, "tokens");
  expect(view?.series.map(({ label, points, end }) => [label, points, end])).toEqual([
    [
      "grown",
      [
        [0, 7],
        [100, 4.5],
      ],
      null,
    ],
    [
      "grown",
      [
        [100, 4.5],
        [200, 4.2],
      ],
      "4.21",
    ],
    ["not expanded", [[200, 4.3]], "4.30"],
    ["from scratch", [[200, 4]], "4.01"],
  ]);
  expect(view?.moments).toEqual([{ x: 100, label: "64 → 96 wide", note: "max |Δlogit| 6.1·10⁻⁶" }]);
  expect(view?.reference).toEqual({ y: 6, label: "unigram entropy 6.00" });
});

test("by compute, a curve without FLOPs is left out", () => {
  const view = lossCurves(wholeRun, "flops");
  expect(view?.series.map(({ label }) => label)).toEqual(["grown", "grown", "not expanded"]);
  expect(view?.moments[0].x).toBe(1000);
});

test("without held-out losses there is no chart", () => {
  expect(lossCurves(run([stage("00-base")]), "tokens")).toBeNull();
});

import { expect, test } from "vitest";
import { renderRun } from "../../../reports/index.ts";
import type { CrosscoderSummary } from "../../../reports/run-data/crosscoder.ts";
import { crosscoderView } from "../../../reports/view/crosscoder.ts";
import { persistence, run, stage } from "../small-run.ts";

const figures = {
  ...{ architecture: "batchtopk", d_sae: 50, l0: 15.94, fvu_parent: 0.0312, fvu_child: 0.0298 },
  latents: { unknown: 10, shared: 32, parent_only: 2, child_only: 6 },
  by_norm: { unknown: 10, shared: 28, parent_only: 4, child_only: 8 },
  ...{ aligned: 20, unmasked: { shrinkage: 1, decoupling: 3 } },
};
const none = { unknown: 0, shared: 0, parent_only: 0, child_only: 0, aligned: 0, none: 0 };
const crosscoder: CrosscoderSummary = {
  ...figures,
  verdicts: [
    { ...none, verdict: "unknown", none: 2, unknown: 3 },
    { ...none, verdict: "persisted", shared: 9, aligned: 8, child_only: 1, none: 4 },
    { ...none, verdict: "died", shared: 1, parent_only: 3 },
  ],
  ...{ persisted_shared: 0.9, died_parent_only: 0.75, kappa: 0.6 },
  reinit: {
    ...figures,
    aligned: 0,
    latents: { unknown: 40, shared: 1, parent_only: 4, child_only: 5 },
  },
};

test("a crosscoder's word in sentences, and its table with the worst verdict first", () => {
  const view = crosscoderView(stage("01-wider", { persistence: persistence({ crosscoder }) }));
  expect(view?.sentences).toEqual([
    "Of the persisted latents that it has it calls 90% shared, of the died 75% the parent’s alone. Cohen’s κ of the two: 0.60.",
    "Of its own latents 80% are shared (50% in the direction that the growth predicts), 5.0% the parent’s alone, 15% the child’s (40 judged); by decoder norms alone 70% would be shared. Latent scaling unmasked 4 latents: 1 shrunk, 3 decoupled. FVU 0.031 on the parent, 0.030 on the child, L0 15.9.",
    "Against random weights of the child’s size: 10% are shared (0% in the direction that the growth predicts), 40% the parent’s alone, 50% the child’s (10 judged).",
  ]);
  expect(view?.rows).toEqual([
    { verdict: "Died", shared: "1", aligned: "0", parentOnly: "3", childOnly: "0", silent: "0" },
    {
      verdict: "Persisted",
      shared: "9",
      aligned: "8",
      parentOnly: "0",
      childOnly: "1",
      silent: "4",
    },
    { verdict: "Unknown", shared: "0", aligned: "0", parentOnly: "0", childOnly: "0", silent: "5" },
  ]);
});

test("what was not measured is said, and a run without a crosscoder has no such section", () => {
  const silent = {
    ...{ ...crosscoder, persisted_shared: null, died_parent_only: null, kappa: null, reinit: null },
    latents: { unknown: 50, shared: 0, parent_only: 0, child_only: 0 },
  };
  const view = crosscoderView(
    stage("01-wider", { persistence: persistence({ crosscoder: silent }) }),
  );
  expect(view?.sentences[0]).toBe("It has none of the persisted latents.");
  expect(view?.sentences[1]).toContain("none fires often enough to be judged");
  expect(view?.sentences).toHaveLength(2);
  const some = { ...crosscoder, died_parent_only: null, kappa: null };
  expect(
    crosscoderView(stage("01-wider", { persistence: persistence({ crosscoder: some }) }))
      ?.sentences[0],
  ).toBe("Of the persisted latents that it has it calls 90% shared; it has none of the died.");
  expect(crosscoderView(stage("01-wider", { persistence: persistence() }))).toBeNull();
  const stages = (found: CrosscoderSummary | null) => [
    stage("00-base"),
    stage("01-wider", { persistence: persistence({ crosscoder: found }) }),
  ];
  expect(renderRun(run(stages(null)))).not.toContain("A second opinion");
  expect(renderRun(run(stages(crosscoder)))).toContain("A second opinion");
});

import { expect, test } from "vitest";
import type { PersistenceSummary } from "../../../reports/run-data/persistence.ts";
import { amount, type VerdictView, verdictView } from "../../../reports/view/verdict-sentence.ts";
import { evaluation, persistence, run, stage, table, twoExpansions } from "../small-run.ts";

const text = (phrases: VerdictView["sentence"]): string => phrases.map((p) => p.text).join("");

function verdict(changes: Partial<PersistenceSummary>): VerdictView {
  return verdictView(
    run([
      stage("00-base", { evaluation: evaluation(64, 4.4) }),
      stage("01-wider", {
        evaluation: evaluation(96, 4.2),
        persistence: persistence(changes),
        verdicts: table([]),
      }),
    ]),
    1,
  );
}

test("the sentence gives inertia-corrected persistence with its interval", () => {
  expect(text(verdict({}).sentence)).toBe(
    "Widened from 64 to 96 and trained on, the model kept about two thirds of the features it could have kept: 0.67 after correcting for inertia (95%: 0.59 to 0.74).",
  );
});

test("cosine is called no evidence when random weights have as much of it", () => {
  const { context } = verdict({});
  expect(text(context)).toContain("Cosine to the old direction alone would have said 0.90.");
  expect(text(context)).toContain("0.89 on a model with random weights, so it is not evidence.");
  expect(context.find(({ tone }) => tone === "bad")?.text).toBe(
    "0.89 on a model with random weights",
  );
});

test("cosine is not called worthless where random weights have little of it", () => {
  const { context } = verdict({
    inertia: { carried: 0.9, carried_scratch: null, reinit: 0.05, rotated: null },
  });
  expect(text(context)).not.toContain("evidence");
  expect(context.some(({ tone }) => tone === "bad")).toBe(false);
});

test("a low ceiling and latents that can't be judged stand beside the headline", () => {
  const { cells, arms } = persistence();
  const CP = { function: 0.34, match: 0.44, ci: null };
  const frozen = { ...arms[0], arm: "frozen", role: "frozen", function: 0.84 };
  const { sentence, context } = verdict({
    cells: { ...cells, CP },
    arms: [...arms, frozen],
    counts: { unknown: 406 },
    eligible: 170,
  });
  expect(text(sentence)).toContain("kept about two thirds of the little it could have kept: 0.67");
  expect(text(context)).toContain(
    "The ceiling is low: even on the unchanged parent only 0.34 are found again, so training the SAE on moves features by itself (left untrained it finds 0.84 in the grown model).",
  );
  expect(text(context)).toContain("406 of 576 parent latents can’t be judged.");
  expect(text(verdict({}).context)).not.toContain("ceiling");
});

test("without the from-scratch control the sentence says that inheritance can't be told", () => {
  const { cells } = persistence();
  const said = text(verdict({ corrected: null, cells: { ...cells, CS: null } }).sentence);
  expect(said).toContain("25% of 3 features persisted with a witness");
  expect(said).toContain("can’t tell: it has no from-scratch control");
});

test("an interval that reaches zero decides nothing", () => {
  const said = text(verdict({ corrected: { value: 0.2, ci: [-0.1, 0.5] } }).sentence);
  expect(said).toContain("can’t tell whether any feature was kept");
  expect(said).toContain("−0.10 to 0.50");
});

test("the fine print says how the rule did on its checks and how much is noise", () => {
  expect(text(verdict({}).finePrint)).toBe(
    "The same rule calls 1.0% persisted on random weights and keeps 99.8% before any training. One training run, 1 fresh SAE seed, 3 features that can be judged: treat differences under 0.05 as noise.",
  );
});

test("a rule that fails its own checks raises an alarm, and one that passes none", () => {
  expect(verdict({}).alarms).toEqual([]);
  const alarms = verdict({
    reinit_persisted: { value: 0.08, ci: null },
    start_kept: { value: 0.97, ci: null },
  }).alarms;
  expect(alarms).toHaveLength(2);
  expect(alarms[0]).toContain("8.0% persisted on a model with random weights");
  expect(alarms[1]).toContain("keeps only 97%");
});

test("a gate that did not pass is an alarm with its message", () => {
  const gates = {
    passed: false,
    gates: [{ kind: "held_out_loss", passed: false, message: "held-out loss 5 is above 4" }],
  };
  const view = verdictView(run([stage("00-base"), stage("01-wider", { gates })]), 1);
  expect(view.alarms).toEqual([
    "Gate not passed: held-out loss 5 is above 4. The plan stopped here.",
  ]);
});

test("the base stage and an unfinished stage have sentences of their own", () => {
  const small = run([stage("00-base", { evaluation: evaluation(64, 4.4) }), stage("01-wider")]);
  expect(text(verdictView(small, 0).sentence)).toBe(
    "The base model predicts held-out text at 4.40 nats per token, 1.60 below the unigram entropy.",
  );
  expect(text(verdictView(small, 1).sentence)).toBe("Expanded: not finished yet.");
  expect(text(verdictView(run([stage("00-base")]), 0).sentence)).toBe(
    "The base model is not finished yet.",
  );
});

test("after two expansions it says how many base features came through both", () => {
  expect(text(verdictView(twoExpansions(), 2).finePrint)).toContain(
    "Through both expansions, 1 of the 3 features of 00 base keeps a confirmed heir.",
  );
});

test("shares are put in words only as precisely as the interval allows", () => {
  expect(amount(0.66, [0.6, 0.72])).toBe("about two thirds");
  expect(amount(0.5, [0.25, 0.75])).toBe("between a quarter and three quarters");
  expect(amount(0.97, null)).toBe("nearly all");
  expect(amount(0.02, null)).toBe("almost nothing");
  expect(amount(1.2, null)).toBe("more than all");
});

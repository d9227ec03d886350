import { describe, expect, test } from "vitest";
import {
  answerFiveQuestions,
  type CircuitDocument,
  type FiveQuestionsInput,
  type LikenessEvidence,
  type LossPoint,
  type MappedCircuit,
  type PersistenceEvidence,
  type StageEvidence,
} from "../../circuits/index.ts";

const answer = (input: FiveQuestionsInput, id: number) =>
  answerFiveQuestions(input).questions[id - 1];

const persistence: PersistenceEvidence = {
  eligible: 200,
  counts: { persisted: 120, died: 20, lost_by_sae: 6, uncertain: 34, carried_only: 20 },
  persisted: { value: 0.6, ci: [0.53, 0.67] },
  reinit_persisted: { value: 0.01, ci: [0, 0.03] },
  cells: {
    CG: { function: 0.58, match: 0.6 },
    CS: { function: 0.2, match: 0.22 },
    CP: { function: 0.77, match: 0.8 },
  },
  corrected: { value: 0.66, ci: [0.58, 0.74] },
  inheritance: { value: 0.055, ci: [0.02, 0.09], of_findable: 0.7 },
};

const random = { mean: 0.1, sd: 0.05, draws: 8 };
const score = (value: number, lo: number, hi: number) => ({
  value,
  ci: [lo, hi] as const,
  reason: null,
});

const mapped = {
  from: "00-base",
  n: 12,
  unmapped: 0,
  nodes: [],
  parent_faithfulness: 0.85,
  at_expansion: score(0.85, 0.8, 0.9),
  rediscovered: score(0.82, 0.75, 0.9),
  jaccard: 0.4,
  jaccard_floor: 0.05,
  jaccard_ceiling: 0.7,
  heads: [
    {
      kind: "previous_token",
      parent: { layer: 0, index: 1, score: 0.62, null: 0.1 },
      child: { layer: 0, index: 5, score: 0.58, null: 0.1 },
    },
    { kind: "induction", parent: { layer: 1, index: 0, score: 0.1, null: 0.08 }, child: null },
  ],
  faithfulness: score(0.78, 0.7, 0.86),
  completeness: 0.2,
  without_error: 0.5,
  random,
  random_same_kinds: { mean: 0.3, sd: 0.05, draws: 8 },
} satisfies MappedCircuit;

const circuit = (value: MappedCircuit | null, task: CircuitDocument["task"] = "bigram") =>
  ({ task, mapped: value }) as CircuitDocument;

const model = (loss: number, tokens: number, flops: number, extra = {}) => ({
  held_out_loss: loss,
  held_out_se: 0.01,
  tokens_trained: tokens,
  flops_trained: flops,
  ...extra,
});

function stages(change: {
  grown?: number;
  scratch?: number;
  unexpanded?: number;
  last?: Partial<StageEvidence>;
}): StageEvidence[] {
  const { grown = 4.1, scratch = 3.8, unexpanded = 4.2, last = {} } = change;
  return [
    {
      stage: "00-base",
      eval: { model: model(4.4, 600, 600) },
      persistence: null,
      circuit: circuit(null),
    },
    {
      stage: "01-wider",
      eval: {
        model: model(grown, 1000, 1400, { loss_after_expansion: 4.401 }),
        controls: {
          scratch: model(scratch, 1000, 2000),
          "no-expand": model(unexpanded, 1000, 1000),
        },
        off_image: { after_expansion: 0, after_training: 0.08 },
      },
      persistence,
      circuit: circuit(mapped),
      ...last,
    },
  ];
}

const point = (arm: string, tokens: number, flops: number, held_out_loss: number): LossPoint => ({
  arm,
  phase: "lm",
  tokens,
  flops,
  held_out_loss,
});

describe("question 1", () => {
  test("a loss above the from-scratch model's at matched tokens and FLOPs is called a cost", () => {
    const curves = [point("scratch", 500, 1000, 3.95)];
    const got = answer({ stages: stages({}), curves }, 1);
    // at 1,400 FLOPs: 3.95 − .15 · ln 1.4 / ln 2, so the difference is about .223
    expect(got.value).toBeCloseTo(4.1 - (3.95 - (0.15 * Math.log(1.4)) / Math.log(2)), 9);
    expect(got.answer).toMatch(/^Yes, by this run growing cost capability: /);
    expect(got.answer).toContain("+0.300 nats per token at matched tokens");
    expect(got.answer).toContain("at the moment of expansion it moved by +0.001");
    expect(got.answer).toContain("read at 70% of its training");
    expect(got.answer).toContain("one training seed of each");
    expect(got.ci![0]).toBeCloseTo(got.value! - 1.96 * Math.SQRT2 * 0.01, 9);
    expect(got.confident).toBe(true);
  });

  test("without a curve only matched tokens are compared, and that is said", () => {
    const got = answer({ stages: stages({}), curves: [] }, 1);
    expect(got.value).toBeCloseTo(0.3, 9);
    expect(got.answer).toContain("matched FLOPs were not measured");
  });

  test("a difference within the noise is not decided, a better one is not called a cost", () => {
    expect(answer({ stages: stages({ scratch: 4.09 }), curves: [] }, 1)).toMatchObject({
      answer: expect.stringMatching(/^Not decided by this run: /),
      confident: false,
    });
    expect(answer({ stages: stages({ scratch: 4.11 }), curves: [] }, 1).answer).toMatch(
      /^No cost was seen: /,
    );
    expect(answer({ stages: stages({ scratch: 4.4 }), curves: [] }, 1).answer).toMatch(
      /^No, by this run growing beat/,
    );
  });

  test("a cost per token and a gain per FLOP is not one answer", () => {
    const curves = [point("scratch", 700, 1399, 4.5)];
    expect(answer({ stages: stages({}), curves }, 1)).toMatchObject({
      answer: expect.stringMatching(/^Not one answer: it depends/),
      confident: false,
    });
  });
});

describe("question 2", () => {
  test("a gain at matched tokens alone is said to be none per FLOP", () => {
    // at 1,000 FLOPs the grown model was at 4.4 − .3 · ln(1000/600) / ln(1400/600) = 4.219 > 4.2
    const got = answer({ stages: stages({}), curves: [] }, 2);
    expect(got.value).toBeCloseTo(0.1, 9);
    expect(got.answer).toMatch(/^Growing bought capability per token, but none is shown per FLOP/);
    expect(got.answer).toContain("−0.100 nats per token at matched tokens");
    expect(got.answer).toContain("its unexpanded parent (00-base)");
    expect(got.confident).toBe(false);
  });

  test("a gain at both is a bump, a loss at both is none", () => {
    const gain = answer({ stages: stages({ grown: 3.5 }), curves: [] }, 2);
    expect(gain.answer).toMatch(/^Growing bought capability in this run/);
    expect(gain.confident).toBe(true);
    const loss = answer({ stages: stages({ unexpanded: 3.9 }), curves: [] }, 2);
    expect(loss.answer).toMatch(/^No bump: the unexpanded parent/);
  });
});

describe("question 3", () => {
  test("died is the least and not persisted the most that was overwritten", () => {
    const got = answer({ stages: stages({}), curves: [] }, 3);
    expect(got.value).toBeCloseTo(0.1, 12);
    expect(got.ci![0]).toBeCloseTo(0.0657, 3); // Wilson, 20 of 200
    expect(got.ci![1]).toBeCloseTo(0.1494, 3);
    expect(got.answer).toBe(
      "At least 10% of the 200 parent features that can be judged died at 01-wider; 60% persist and the rest is undecided, drifted or changed, so at most 40% is overwritten; 3.0% are lost to the SAE but still readable from the model; on the unchanged parent the same matching finds 77% again; 8.0% of the grown model's activation energy lies outside the inherited subspace.",
    );
    expect(got.confident).toBe(true);
  });

  test("probes say what can still be read from which part, and what a from-scratch model shows as well", () => {
    const probes = {
      child: { read: 0.93 },
      inherited: { read: 0.9 },
      scratch: { read: 0.55 },
      random: { read: 0.2 },
    };
    const said = (changes: object) =>
      answer(
        {
          stages: stages({
            last: { persistence: { ...persistence, probes: { ...probes, ...changes } } },
          }),
          curves: [],
        },
        3,
      );
    expect(said({}).answer).toContain(
      "of the features that linear probes read from the parent, they read 93% from the grown model, 90% from its inherited subspace alone, 55% from a from-scratch model, 20% from random weights;",
    );
    expect(said({}).evidence.map(({ field }) => field)).toContain("probes");
    const few = said({ inherited: null, scratch: null }).answer;
    expect(few).toContain("93% from the grown model, 20% from random weights;");
  });

  test("after growth in depth alone nothing is said of an inherited subspace", () => {
    const [base, wider] = stages({});
    const deeper = { ...wider, stage: "01-deeper", eval: { ...wider.eval, off_image: null } };
    const got = answer({ stages: [base, deeper], curves: [] }, 3);
    expect(got.answer).toMatch(/finds 77% again\.$/);
    expect(got.evidence.map(({ field }) => field)).not.toContain("off_image.after_training");
    expect(got.confident).toBe(true);
  });

  test("a rule that calls features persisted in random weights decides nothing", () => {
    const bad = { ...persistence, reinit_persisted: { value: 0.2 } };
    const got = answer({ stages: stages({ last: { persistence: bad } }), curves: [] }, 3);
    expect(got.answer).toMatch(/^This run can't tell: .* 20% of the features persisted/);
    expect(got).toMatchObject({ value: null, ci: null, unit: null, confident: false });
  });

  test("few latents, or no check on random weights, make no confident answer", () => {
    const few = { ...persistence, eligible: 12 };
    expect(
      answer({ stages: stages({ last: { persistence: few } }), curves: [] }, 3).value,
    ).toBeNull();
    const unchecked = { ...persistence, reinit_persisted: null };
    const got = answer({ stages: stages({ last: { persistence: unchecked } }), curves: [] }, 3);
    expect(got.value).toBeCloseTo(0.1, 12);
    expect(got.confident).toBe(false);
    expect(got.answer).toContain("random weights was not made");
  });

  test("of several stages the one that lost most is the answer", () => {
    const [base, wider] = stages({});
    const gentle = { ...persistence, counts: { died: 1 } };
    const all = [base, wider, { ...wider, stage: "02-deeper", persistence: gentle }];
    const got = answer({ stages: all, curves: [] }, 3);
    expect(got.answer).toContain("died at 01-wider, the stage that lost most;");
    expect(got.evidence[0].file).toBe("stages/01-wider/persistence.json");
  });
});

describe("question 4", () => {
  test("a circuit that keeps its faithfulness above chance stuck around", () => {
    const got = answer({ stages: stages({}), curves: [] }, 4);
    expect(got.value).toBe(0.78);
    expect(got.answer).toMatch(/^It stuck around: the parent's bigram circuit/);
    expect(got.answer).toContain("0.78 [0.70, 0.86] of the effect");
    expect(got.answer).toContain("0.30 for random circuits of the same make-up");
    expect(got.answer).toMatch(/; its best previous-token head went from 0.62 to 0.58\.$/);
    expect(got.evidence[0]).toEqual({
      file: "stages/01-wider/circuits/bigram.json",
      field: "mapped.faithfulness",
    });
    expect(got.confident).toBe(true);
  });

  test("less than .8 of the parent's is in part, and an interval that meets chance shows nothing", () => {
    const part = { ...mapped, faithfulness: score(0.5, 0.4, 0.6) };
    const none = { ...mapped, faithfulness: score(0.5, 0.2, 0.8) };
    const of = (value: MappedCircuit) =>
      answer({ stages: stages({ last: { circuit: circuit(value) } }), curves: [] }, 4);
    expect(of(part).answer).toMatch(/^It stuck around in part/);
    expect(of(none).answer).toMatch(/^This run doesn't show that it did/);
    expect(of(none).confident).toBe(false);
    const wild = { ...mapped, random_same_kinds: { mean: 0.3, sd: 0.3, draws: 8 } };
    expect(of(wild).answer).toMatch(/^This run doesn't show that it did/);
  });

  test("a child that no longer does the task has lost the circuit, whatever its faithfulness", () => {
    const [base, wider] = stages({});
    const effect = (m_full: number, se: number, value: MappedCircuit | null) =>
      ({ ...circuit(value), m_full, m_empty: -2, se }) as CircuitDocument;
    const of = (before: CircuitDocument, after: CircuitDocument) =>
      answer(
        {
          stages: [
            { ...base, circuit: before },
            { ...wider, circuit: after },
          ],
          curves: [],
        },
        4,
      );
    // 4 before; .2 ± .1 after is at most .4, a tenth
    const gone = of(effect(2, 0.3, null), effect(-1.8, 0.1, mapped));
    expect(gone.answer).toBe(
      "No, the bigram circuit is gone: at 01-wider the model's effect on the task's prompts is 0.20 of logit difference, 4.00 at 00-base.",
    );
    expect(gone.value).toBeCloseTo(0.05, 12);
    expect(gone.ci![1]).toBeCloseTo(0.1, 12);
    expect(gone.confident).toBe(true);
    // an interval that reaches a fifth, and a parent that hardly did it, decide nothing
    expect(of(effect(2, 0.3, null), effect(-1.8, 0.4, mapped)).answer).toMatch(/^It stuck around/);
    expect(of(effect(2, 1.5, null), effect(-1.8, 0.1, mapped)).answer).toMatch(/^It stuck around/);
  });

  test("no task, no circuit; an unstable denominator, no ratio: both say why", () => {
    const [base, wider] = stages({});
    const undone = [
      { ...base, circuit: circuit(null, null) },
      { ...wider, circuit: circuit(null, null) },
    ];
    expect(answer({ stages: undone, curves: [] }, 4).answer).toMatch(/does none of the tasks/);
    const unstable = { ...mapped, faithfulness: { value: null, ci: null, reason: "noise" } };
    const got = answer({ stages: stages({ last: { circuit: circuit(unstable) } }), curves: [] }, 4);
    expect(got.answer).toBe(
      "This run can't tell: at 01-wider the bigram task can't be scored: noise.",
    );
  });
});

describe("question 5", () => {
  test("closer to the parent by both measures is a confident answer", () => {
    const got = answer({ stages: stages({}), curves: [] }, 5);
    expect(got.value).toBe(0.66);
    expect(got.answer).toMatch(/^Not yet: /);
    expect(got.answer).toContain("0.66 [0.58, 0.74]");
    expect(got.answer).toContain("where the curves cross is not known");
    expect(got.confident).toBe(true);
  });

  test("a disagreeing or absent fresh SAE takes the confidence away", () => {
    for (const of_findable of [0.2, null]) {
      const other = { ...persistence, inheritance: { value: 0.1, of_findable } };
      const got = answer({ stages: stages({ last: { persistence: other } }), curves: [] }, 5);
      expect(got.confident).toBe(false);
      expect(got.answer).toMatch(/disagree|give no figure/);
    }
  });

  test("an interval around ½ decides nothing, one below it says largely", () => {
    const with_ = (corrected: PersistenceEvidence["corrected"]) =>
      answer(
        { stages: stages({ last: { persistence: { ...persistence, corrected } } }), curves: [] },
        5,
      );
    expect(with_({ value: 0.52, ci: [0.4, 0.6] }).answer).toMatch(/^Not decided/);
    expect(with_({ value: 0.2, ci: [0.1, 0.3] }).answer).toMatch(/^Largely/);
    expect(with_({ value: null }).answer).toMatch(/^This run can't tell/);
  });

  const to = (value: number) => ({ value, ci: null });
  /** Ends at .9 of the scale, .95 like its parent and .53 like the from-scratch model. */
  const likeness = {
    child: [
      { tokens: 0, to_parent: to(1), to_scratch: to(0.5), corrected: to(1) },
      { tokens: 200, to_parent: to(0.95), to_scratch: to(0.53), corrected: to(0.9) },
    ],
    references: {
      parent: { to_parent: to(1), to_scratch: to(0.5) },
      no_expand: { to_parent: to(0.96), to_scratch: to(0.52) },
    },
    crossings: { half: null, scratch_nearer: null },
  } satisfies LikenessEvidence;
  const over = (changes: Partial<LikenessEvidence>) =>
    answer(
      {
        stages: stages({}).map((stage, i) =>
          i === 0 ? stage : { ...stage, likeness: { ...likeness, ...changes } },
        ),
        curves: [],
      },
      5,
    );

  test("likeness over training says what is left of the parent, and that the curves don't cross", () => {
    const got = over({});
    expect(got.answer).toContain("shows 90% of what sets the parent apart");
    expect(got.answer).toContain("never less than half at 2 points of its training");
    expect(got.answer).toContain(
      "to its parent is 0.95 at the end, to the from-scratch model 0.53 (0.50 in the parent, 0.52 in the parent trained on without growth), and the two curves don't cross",
    );
    expect(got.evidence.at(-1)?.file).toBe("stages/01-wider/likeness.json");
    expect(got.confident).toBe(true);
  });

  test("or where they do", () => {
    const got = over({
      crossings: {
        half: { after: 100, by: 200 },
        scratch_nearer: { after: null, by: 100 },
      },
    });
    expect(got.answer).toContain("less than half from between 100 and 200 tokens of training on");
    expect(got.answer).toContain("nearer from the first point on (100 tokens)");
  });

  test("an end on the other side of ½ leaves the question open; without checkpoints the crossing is not known", () => {
    const [start, end] = likeness.child;
    expect(over({ child: [start, { ...end, corrected: to(0.4) }] }).confident).toBe(false);
    const unscaled = over({ child: [{ ...end, corrected: { value: null } }] });
    for (const got of [unscaled, answer({ stages: stages({}), curves: [] }, 5)]) {
      expect(got.answer).toContain("where the curves cross is not known");
    }
    const alone = over({ child: [{ ...end, to_scratch: null }] }).answer;
    expect(alone).toContain("90% of what sets");
    expect(alone).not.toContain("two curves");
  });
});

test("a run without an expansion or without controls can tell nothing, five times, and says why", () => {
  const [base, wider] = stages({});
  for (const all of [
    [base],
    [base, { ...wider, eval: { model: wider.eval.model }, persistence: null, circuit: null }],
  ]) {
    const { format, version, questions } = answerFiveQuestions({ stages: all, curves: [] });
    expect([format, version]).toEqual(["sae-carry/five-questions", 1]);
    expect(questions.map((q) => q.id)).toEqual([1, 2, 3, 4, 5]);
    for (const q of questions) {
      expect(q.answer).toMatch(/^This run can't tell: /);
      expect(q).toMatchObject({ value: null, ci: null, confident: false });
    }
  }
});

test("every answer is one sentence", () => {
  for (const q of answerFiveQuestions({ stages: stages({}), curves: [] }).questions) {
    expect(q.answer.endsWith(".")).toBe(true);
    expect(q.answer.replace(/\d\.\d/g, "").match(/[.!?]\s/)).toBeNull();
  }
});

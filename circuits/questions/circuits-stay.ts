/**
 * Question 4: do circuits stick around? The parent's circuit, mapped through the expansion, is scored
 * in the trained child on the parent's own prompts. It stuck when it keeps at least .8 of its
 * faithfulness in the parent and is clear of random circuits with the same number of heads, MLPs and
 * latents: its interval of their mean, its value of their mean and two standard deviations. Over
 * several expansions the worst is the answer. Faithfulness is a share of what the child does: where the child no longer
 * does the task, it says nothing, so the child's effect is held against the parent's on the same prompts first.
 */
import type { CircuitDocument, MappedCircuit } from "../circuit-document.ts";
import { requiredErrors } from "../statistics.ts";
import {
  type Answer,
  cannotTell,
  expansions,
  type FiveQuestionsInput,
  type StageEvidence,
  stageFile,
  withInterval,
} from "./evidence.ts";

/** Share of the parent's faithfulness that a circuit which stuck keeps. */
const keptShare = 0.8;
/** Share of the parent's effect below which, with two standard errors added, the task is gone. */
const goneShare = 0.2;
/** Score above its null from which a head is worth a mention. */
const notableHead = 0.2;

type Mapped = StageEvidence & { circuit: CircuitDocument & { mapped: MappedCircuit } };

/** value: faithfulness of the mapped circuit in the trained child. */
export function answerCircuits(input: FiveQuestionsInput): Answer {
  const stages = expansions(input);
  if (stages.length === 0) return cannotTell("it has no expansion");
  const base = input.stages[0].circuit;
  const mapped = stages.filter((stage): stage is Mapped => stage.circuit?.mapped != null);
  if (mapped.length === 0) {
    if (base === null) return cannotTell("no circuit was looked for in the base model");
    const file = stageFile(input.stages[0].stage, "circuits/none.json");
    return base.task === null
      ? cannotTell("the base model does none of the tasks, so it has no circuit to follow", [
          { file, field: "tasks" },
        ])
      : cannotTell("no stage scored its parent's circuit");
  }
  const gone = stages
    .map((stage, i) => lostTask(input.stages[i], stage))
    .find((answer) => answer !== null);
  if (gone) return gone;
  const scored = mapped.filter(({ circuit }) => circuit.mapped.faithfulness.value !== null);
  if (scored.length < mapped.length) {
    const failed = mapped.find(({ circuit }) => circuit.mapped.faithfulness.value === null)!;
    return cannotTell(
      `at ${failed.stage} the ${failed.circuit.task} task can't be scored: ${failed.circuit.mapped.faithfulness.reason}`,
      evidenceOf(failed),
    );
  }
  const worst = scored.reduce((a, b) => (faithful(b) < faithful(a) ? b : a));
  const { faithfulness, random_same_kinds, rediscovered, jaccard, ...rest } = worst.circuit.mapped;
  const value = faithful(worst);
  const chance = random_same_kinds.mean;
  const above =
    chance !== null &&
    faithfulness.ci !== null &&
    faithfulness.ci[0] > chance &&
    value > chance + 2 * (random_same_kinds.sd ?? 0);
  const before = rest.parent_faithfulness;
  const kept = before !== null && before > 0 ? value / before : null;
  const verdict = !above
    ? "This run doesn't show that it did"
    : kept !== null && kept >= keptShare
      ? "It stuck around"
      : "It stuck around in part";
  const facts = [
    `${withInterval(value, faithfulness.ci)} of the effect in the trained child at ${worst.stage}`,
    `${number(before)} in the parent`,
    `${number(chance)} for random circuits of the same make-up`,
    `${number(rediscovered.value)} for the child's own best ${rest.n} nodes, of which it shares a Jaccard overlap of ${number(jaccard)} (chance ${number(rest.jaccard_floor)})`,
    ...(rest.without_error === null
      ? []
      : [`${number(rest.without_error)} without the SAE's error node`]),
  ].join(", ");
  const heads = rest.heads.flatMap(({ kind, parent, child }) =>
    parent.score - parent.null < notableHead
      ? []
      : [
          `its best ${kind.replaceAll("_", "-")} head went from ${number(parent.score)} to ${number(child?.score ?? null)}`,
        ],
  );
  return {
    answer: `${verdict}: the parent's ${worst.circuit.task} circuit, mapped to ${rest.n} nodes, recovers ${[facts + (mapped.length > 1 ? " (the worst of the expansions)" : ""), ...heads].join("; ")}.`,
    value,
    ci: faithfulness.ci,
    unit: "share of the task effect recovered",
    evidence: evidenceOf(worst),
    confident: above && before !== null && before >= 0.5,
  };
}

/** The answer where the parent did the task and the child's effect is next to nothing; else null. */
function lostTask(parent: StageEvidence, child: StageEvidence): Answer | null {
  const [before, after] = [parent.circuit, child.circuit];
  if (before == null || after?.task == null || before.task !== after.task) return null;
  if (after.mapped == null) return null;
  const [had, has] = [before, after].map(({ m_full, m_empty }) =>
    m_full == null || m_empty == null ? null : m_full - m_empty,
  );
  if (had == null || has == null || before.se == null || after.se == null) return null;
  if (!(had >= requiredErrors * before.se && has + 2 * after.se < goneShare * had)) return null;
  const range: Answer["ci"] = [(has - 2 * after.se) / had, (has + 2 * after.se) / had];
  return {
    answer: `No, the ${after.task} circuit is gone: at ${child.stage} the model's effect on the task's prompts is ${number(has)} of logit difference, ${number(had)} at ${parent.stage}.`,
    value: has / had,
    ci: range,
    unit: "share of the parent's task effect left",
    evidence: [parent, child].flatMap(({ stage }) =>
      ["m_full", "m_empty", "se"].map((field) => ({
        file: stageFile(stage, `circuits/${after.task}.json`),
        field,
      })),
    ),
    confident: true,
  };
}

function faithful({ circuit }: Mapped): number {
  return circuit.mapped.faithfulness.value ?? 0;
}

function number(value: number | null): string {
  return value === null ? "not measured" : value.toFixed(2);
}

function evidenceOf({ stage, circuit }: Mapped): Answer["evidence"] {
  const file = stageFile(stage, `circuits/${circuit.task}.json`);
  return [
    "mapped.faithfulness",
    "mapped.parent_faithfulness",
    "mapped.random_same_kinds",
    "mapped.rediscovered",
    "mapped.jaccard",
  ].map((field) => ({ file, field }));
}

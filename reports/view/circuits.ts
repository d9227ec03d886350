/** Circuits of the stages: the mapped circuit against its parent, the rediscovered and random ones; its nodes; the tasks. */

import type { CircuitNodeRef, CircuitSummary } from "../run-data/circuit.ts";
import type { RunData } from "../run-data.ts";
import { decimal, interval, missing, signed } from "./format.ts";
import type { IntervalRow } from "./interval-rows.ts";

/** A circuit of one stage. */
export interface CircuitView {
  readonly task: string | null;
  /** One sentence on what was found. */
  readonly summary: string;
  readonly rows: readonly IntervalRow[];
  /** Nodes of the circuit, strongest first. */
  readonly nodes: readonly NodeView[];
  readonly nodesTitle: string;
  readonly tasks: readonly TaskView[];
  readonly facts: readonly { readonly name: string; readonly value: string }[];
  readonly examples: NonNullable<CircuitSummary["prompts"]>["examples"];
}

/** One node. */
export interface NodeView {
  readonly label: string;
  readonly kind: string;
  /** Of the stage's SAE, for a link; null for other nodes. */
  readonly latent: number | null;
  readonly score: string;
}

/** One task's figures. */
export interface TaskView {
  readonly task: string;
  readonly full: string;
  readonly empty: string;
  readonly difference: string;
  readonly verdict: string;
}

/** What circuits/<task>.json of stage `index` says; null where it is missing. */
export function circuitView(run: RunData, index: number): CircuitView | null {
  const { circuit } = run.stages[index];
  if (circuit === null) return null;
  const { mapped, scores, task } = circuit;
  const nodes = mapped?.nodes ?? circuit.nodes;
  return {
    task,
    summary: summaryOf(circuit),
    rows: rowsOf(circuit),
    nodes: nodes.slice(0, 40).map(nodeView),
    nodesTitle: mapped
      ? `The parent’s circuit in this model: ${mapped.n} nodes${mapped.unmapped > 0 ? `, ${mapped.unmapped} of the parent’s have no place here` : ""}`
      : `The circuit: ${circuit.nodes.length} of ${circuit.candidates} nodes with any attribution`,
    tasks: circuit.tasks.map((figures) => ({
      task: figures.task,
      full: decimal(figures.m_full),
      empty: decimal(figures.m_empty),
      difference:
        figures.difference === null
          ? missing
          : `${signed(figures.difference)} ± ${decimal(figures.se)}`,
      verdict: figures.applicable
        ? figures.done
          ? "done"
          : "not done: below 3 standard errors"
        : (figures.reason ?? "not applicable"),
    })),
    facts: [
      ...(mapped
        ? [
            { name: "overlap with the rediscovered circuit", value: overlap(mapped) },
            {
              name: "without the SAE’s error node",
              value: decimal(mapped.without_error),
            },
            { name: "faithfulness of all other nodes", value: decimal(mapped.completeness) },
          ]
        : scores
          ? [
              { name: "without the SAE’s error node", value: decimal(scores.without_error) },
              { name: "faithfulness of all other nodes", value: decimal(scores.completeness) },
            ]
          : []),
    ],
    examples: circuit.prompts?.examples ?? [],
  };
}

function summaryOf({ task, mapped, scores, task_inherited }: CircuitSummary): string {
  if (task === null) return "The model does none of the tasks, so there is no circuit to look for.";
  if (mapped) {
    const { faithfulness, n } = mapped;
    return faithfulness.value === null
      ? `The parent’s ${task} circuit can’t be scored here: ${faithfulness.reason ?? "not measured"}.`
      : `The parent’s ${task} circuit, mapped to ${n} nodes, recovers ${decimal(faithfulness.value)} (${interval(faithfulness.ci)}) of the effect on the same prompts.`;
  }
  const value = scores?.faithfulness.value ?? null;
  return value === null
    ? `No circuit for ${task}: ${scores?.faithfulness.reason ?? "not measured"}.`
    : `The ${task} circuit recovers ${decimal(value)} (${interval(scores?.faithfulness.ci ?? null)}) of the effect${task_inherited ? "" : "; it is the first task that the model does"}.`;
}

function rowsOf({ mapped, scores }: CircuitSummary): IntervalRow[] {
  const rows: IntervalRow[] = [];
  const add = (
    label: string,
    short: string,
    value: number | null | undefined,
    ci: IntervalRow["ci"],
    colour: string,
    isMain: boolean = false,
  ): void => {
    if (value == null) return;
    rows.push({
      label,
      short,
      code: "",
      value,
      ci,
      secondary: null,
      colour,
      isMain,
      from: null,
      to: null,
    });
  };
  if (mapped) {
    add("In the parent", "Parent", mapped.parent_faithfulness, null, "unknown");
    add(
      "Mapped, right after the expansion",
      "After expansion",
      mapped.at_expansion?.value,
      mapped.at_expansion?.ci ?? null,
      "carried",
    );
    const { value, ci } = mapped.faithfulness;
    add("Mapped, after training on", "After training", value, ci, "persisted", true);
    const own = mapped.rediscovered;
    add("This model’s own best nodes", "Own best nodes", own.value, own.ci, "born");
    add(
      "Random nodes of the same kinds",
      "Random nodes",
      mapped.random_same_kinds?.mean,
      spread(mapped.random_same_kinds),
      "died",
    );
    return rows;
  }
  if (scores) {
    const { value, ci } = scores.faithfulness;
    add("The circuit", "The circuit", value, ci, "persisted", true);
    add(
      "Random nodes of the same kinds",
      "Random nodes",
      scores.random_same_kinds?.mean,
      spread(scores.random_same_kinds),
      "died",
    );
  }
  return rows;
}

/** Mean ± 2 sd of the random circuits. */
function spread(
  random: { readonly mean: number | null; readonly sd: number | null } | null,
): IntervalRow["ci"] {
  if (random?.mean == null || random.sd === null) return null;
  return [random.mean - 2 * random.sd, random.mean + 2 * random.sd];
}

function overlap({
  jaccard,
  jaccard_floor,
  jaccard_ceiling,
}: NonNullable<CircuitSummary["mapped"]>): string {
  return `${decimal(jaccard)} (chance ${decimal(jaccard_floor)}, ceiling ${decimal(jaccard_ceiling)})`;
}

function nodeView({ type, layer, index, score }: CircuitNodeRef): NodeView {
  const label =
    type === "head"
      ? `head ${layer}.${index}`
      : type === "mlp"
        ? `MLP ${layer}`
        : type === "latent"
          ? `latent ${index}`
          : type === "error"
            ? "SAE error"
            : `${type} ${layer}.${index}`;
  return { label, kind: type, latent: type === "latent" ? index : null, score: signed(score) };
}

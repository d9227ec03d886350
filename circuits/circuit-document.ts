/**
 * What a stage says about its circuit: `circuits/<task>.json`. One entry point finds the task that
 * the model does, its circuit on half of the prompts and the scores on the other half; given the
 * parent stage's document it takes the parent's task and prompts instead, and also scores the parent's
 * circuit, mapped through the expansion, against the rediscovered and random ones of its size.
 */

import type { Sae } from "../sae/index.ts";
import { createRng, type Rng } from "../src/engine/index.ts";
import type { ExpansionMap } from "../src/expansion/index.ts";
import type { Model } from "../src/models/index.ts";
import { attribute } from "./attribution.ts";
import {
  type CircuitScores,
  chooseSize,
  randomSameKinds,
  type SweepRow,
  scoreCircuit,
  sweep,
  sweepAreas,
} from "./circuit.ts";
import { circuitModel, type Dictionary, saeDictionary } from "./circuit-model.ts";
import { type HeadScores, headScores } from "./head-scores.ts";
import { type CarriedHead, carriedHeads, mapNodes } from "./map-circuit.ts";
import { type CircuitNode, errorShare, nodeJaccard } from "./nodes.ts";
import { type PatchSetting, patchSetting, runCircuit } from "./patching.ts";
import { effect, faithfulness, mean, type Score } from "./statistics.ts";
import {
  type PromptSet,
  promptDigest,
  splitPrompts,
  type TaskName,
  type TaskSource,
} from "./tasks/prompts.ts";
import { buildTasks, chooseTask, measureTask, type TaskFigures } from "./tasks/tasks.ts";

/** The parent's circuit in the child. */
export interface MappedCircuit extends CircuitScores {
  /** The stage that the circuit comes from. */
  readonly from: string;
  readonly n: number;
  /** Parent nodes that the expansion map has no place for. */
  readonly unmapped: number;
  readonly nodes: readonly CircuitNode[];
  /** Of the circuit in its own model, on the same prompts. */
  readonly parent_faithfulness: number | null;
  /** Right after the expansion, before any training. */
  readonly at_expansion: Score | null;
  /** Faithfulness of the child's own best nodes, as many as the mapped circuit has. */
  readonly rediscovered: Score;
  /** Overlap of the mapped and the rediscovered nodes. */
  readonly jaccard: number | null;
  /** Expected of random nodes of the same kinds, and between the circuits of two halves of the prompts. */
  readonly jaccard_floor: number | null;
  readonly jaccard_ceiling: number | null;
  readonly heads: readonly CarriedHead[];
}

/** `circuits/<task>.json`. */
export interface CircuitDocument {
  readonly format: "sae-carry/circuit";
  readonly version: 1;
  readonly stage: string;
  /** Null when the model does none of the tasks. */
  readonly task: TaskName | null;
  /** The task is the parent stage's, for the sake of comparison, not this model's first. */
  readonly task_inherited: boolean;
  /** Where the SAE sits whose latents are nodes. */
  readonly hook_name: string | null;
  readonly tasks: readonly TaskFigures[];
  /** The circuit, largest |score| first; scores from the discovery prompts. */
  readonly nodes: readonly CircuitNode[];
  /** Nodes with any attribution. */
  readonly candidates: number;
  /** Whether the circuit reached the faithfulness it was to have on the discovery prompts. */
  readonly target: { readonly faithfulness: number; readonly reached: boolean };
  /** On the evaluation prompts, m(∅) by patching every node. */
  readonly m_full: number | null;
  readonly m_empty: number | null;
  readonly se: number | null;
  readonly scores: CircuitScores | null;
  readonly error_share: number | null;
  readonly sizes: readonly SweepRow[];
  readonly cpr: number | null;
  readonly cmd: number | null;
  readonly mapped: MappedCircuit | null;
  readonly head_scores: HeadScores;
  readonly prompts: PromptSummary | null;
}

/** Which prompts, and three of them as text. */
export interface PromptSummary {
  readonly n: number;
  readonly length: number;
  readonly seed: number | string;
  readonly digest: string;
  readonly discovery: number;
  readonly evaluation: number;
  readonly examples: readonly {
    readonly clean: readonly string[];
    readonly corrupted: readonly string[];
    readonly answer: string;
    readonly wrong: string;
  }[];
}

/** The parent stage, to compare with. */
export interface CircuitParent {
  readonly document: CircuitDocument;
  readonly map: ExpansionMap;
  /** Of `scoreAtExpansion`, where the child was measured before training. */
  readonly atExpansion?: Score | null;
}

/** A stage's model with its SAE. */
export interface CircuitStage {
  readonly stage: string;
  readonly model: Model;
  /** The SAE whose latents are nodes (in a grown stage the carried one), or null for heads and MLPs alone. */
  readonly sae: Sae | null;
  readonly source: TaskSource;
  /** Prompts are a function of source and seed, so stages of a run must share both. */
  readonly seed: number | string;
}

/** How much is computed; `circuitDefaults` fills what is left out. */
export interface CircuitOptions {
  /** Prompts of a task, half of them for discovery. */
  readonly prompts?: number;
  /** Gradient steps of the attribution. */
  readonly steps?: number;
  /** Random circuits behind a score, and behind each row of the sweep. */
  readonly draws?: number;
  readonly sweepDraws?: number;
  /** Faithfulness that the circuit is to reach, and the most nodes it may take. */
  readonly target?: number;
  readonly mostNodes?: number;
}

/** Some ten seconds a stage for a model of 3 layers × 96 on one wasm thread. */
export const circuitDefaults: Required<CircuitOptions> = {
  prompts: 64,
  steps: 5,
  draws: 8,
  sweepDraws: 2,
  target: 0.8,
  mostNodes: 64,
};

/** Name of the document's file: `<task>.json`, or `none.json`. */
export function circuitFile({ task }: CircuitDocument): string {
  return `${task ?? "none"}.json`;
}

/** Finds and scores a stage's circuit. Errors: internal when the parent was scored on other prompts. */
export function describeCircuit(
  { stage, model, sae, source, seed }: CircuitStage,
  parent: CircuitParent | null,
  options: CircuitOptions = {},
): CircuitDocument {
  const settings = { ...circuitDefaults, ...options };
  const rng = createRng(seed).fork("circuits");
  const hooked = circuitModel(model);
  const tasks = buildTasks(source, settings.prompts, rng.fork("prompts"));
  const figures = tasks.map((task) => measureTask(hooked, task));
  const heads = headScores(model, source.endOfText, rng.fork("heads"));
  const compared = parent && parent.document.task !== null ? parent : null;
  const task = compared?.document.task ?? chooseTask(figures);
  const common = {
    format: "sae-carry/circuit",
    version: 1,
    stage,
    task,
    task_inherited: compared !== null,
    hook_name: sae?.cfg.hook_name ?? null,
    tasks: figures,
    head_scores: heads,
  } as const;
  const prompts = tasks.find((candidate) => candidate.task === task);
  if (prompts === undefined || "reason" in prompts) {
    return {
      ...common,
      nodes: [],
      candidates: 0,
      target: { faithfulness: settings.target, reached: false },
      ...{ m_full: null, m_empty: null, se: null, scores: null, error_share: null },
      sizes: [],
      ...{ cpr: null, cmd: null, mapped: null, prompts: null },
    };
  }
  const summary = summarise(prompts, source, seed);
  if (compared && compared.document.prompts?.digest !== summary.digest) {
    throw new Error("internal: the parent's circuit was scored on other prompts");
  }
  const dictionary = sae ? saeDictionary(sae) : null;
  const halves = splitPrompts(prompts);
  const discovery = patchSetting(hooked, halves.discovery, dictionary);
  const evaluation = patchSetting(hooked, halves.evaluation, dictionary);
  const ranked = attribute(discovery, settings);
  const { size, reached } = chooseSize(discovery, ranked, {
    target: settings.target,
    most: settings.mostNodes,
  });
  const nodes = ranked.slice(0, size);
  const sizes = sweep(evaluation, ranked, settings.sweepDraws, rng.fork("sweep"));
  return {
    ...common,
    nodes,
    candidates: ranked.length,
    target: { faithfulness: settings.target, reached },
    m_full: mean(evaluation.clean.metric),
    m_empty: mean(evaluation.empty),
    se: effect(evaluation.clean.metric, evaluation.empty).se,
    scores: scoreCircuit(evaluation, nodes, ranked, settings.draws, rng.fork("scores")),
    error_share: errorShare(ranked),
    sizes,
    ...sweepAreas(sizes),
    mapped: compared
      ? describeMapped(compared, { evaluation, ranked, heads, dictionary }, settings, rng)
      : null,
    prompts: summary,
  };
}

/** The parent's circuit, mapped, in a child on which nothing was trained yet: `sae` is the carried one. */
export function scoreAtExpansion(
  { model, sae, source, seed }: Omit<CircuitStage, "stage">,
  { document, map }: CircuitParent,
  options: CircuitOptions = {},
): Score | null {
  const { prompts } = { ...circuitDefaults, ...options };
  const rng = createRng(seed).fork("circuits");
  const tasks = buildTasks(source, prompts, rng.fork("prompts"));
  const set = tasks.find((task) => task.task === document.task);
  if (set === undefined || "reason" in set) return null;
  const dictionary = sae ? saeDictionary(sae) : null;
  const setting = patchSetting(circuitModel(model), splitPrompts(set).evaluation, dictionary);
  const { nodes } = mapNodes(document.nodes, map, dictionary?.layer ?? null);
  return score(setting, nodes, rng.fork("scores"));
}

interface ChildFindings {
  readonly evaluation: PatchSetting;
  readonly ranked: readonly CircuitNode[];
  readonly heads: HeadScores;
  readonly dictionary: Dictionary | null;
}

function describeMapped(
  { document, map, atExpansion = null }: CircuitParent,
  { evaluation, ranked, heads, dictionary }: ChildFindings,
  { draws, steps }: Required<CircuitOptions>,
  rng: Rng,
): MappedCircuit {
  const { nodes, unmapped } = mapNodes(document.nodes, map, dictionary?.layer ?? null);
  const rediscovered = ranked.slice(0, nodes.length);
  const otherHalf = attribute(evaluation, { steps }).slice(0, nodes.length);
  const floor = rng.fork("overlap");
  const overlaps = Array.from({ length: 100 }, () =>
    nodeJaccard(randomSameKinds(ranked, nodes, floor), rediscovered),
  );
  return {
    from: document.stage,
    n: nodes.length,
    unmapped,
    nodes,
    parent_faithfulness: document.scores?.faithfulness.value ?? null,
    at_expansion: atExpansion,
    ...scoreCircuit(evaluation, nodes, ranked, draws, rng.fork("scores")),
    rediscovered: score(evaluation, rediscovered, rng.fork("scores")),
    jaccard: nodeJaccard(nodes, rediscovered),
    jaccard_floor: overlaps.includes(null) ? null : mean(overlaps as number[]),
    jaccard_ceiling: nodeJaccard(rediscovered, otherHalf),
    heads: carriedHeads(document.head_scores, heads, map),
  };
}

function score(setting: PatchSetting, nodes: readonly CircuitNode[], rng: Rng): Score {
  const { clean, empty } = setting;
  return faithfulness(runCircuit(setting, nodes), clean.metric, empty, rng.fork("bootstrap"));
}

function summarise(
  prompts: PromptSet,
  { tokens }: TaskSource,
  seed: number | string,
): PromptSummary {
  const { n, length, clean, corrupted, answer, wrong } = prompts;
  const text = (ids: Int32Array, row: number): string[] =>
    Array.from(ids.subarray(row * length, (row + 1) * length), (id) => tokens[id]);
  return {
    n,
    length,
    seed,
    digest: promptDigest(prompts),
    discovery: Math.ceil(n / 2),
    evaluation: Math.floor(n / 2),
    examples: Array.from({ length: Math.min(3, n) }, (_, row) => ({
      clean: text(clean, row),
      corrupted: text(corrupted, row),
      answer: tokens[answer[row]],
      wrong: tokens[wrong[row]],
    })),
  };
}

/**
 * The data behind the table of latents, packed for the page: columns rather than records, tokens as
 * indices into one list, contexts cut to a window around their peak, activations as hundredths of the
 * latent's own maximum. Rows are sorted worst first. What the page leaves out stays in the run's files.
 */

import {
  type FeatureTable,
  type LatentContext,
  measureNames,
  type TokenLogit,
  type VerdictTable,
} from "../run-data/tables.ts";
import type { RunData, StageData } from "../run-data.ts";
import { rounded } from "./format.ts";
import { stageLabel } from "./stages.ts";
import { severity, verdictWords } from "./verdicts.ts";

/** [document, position, token indices, pairs of (token, hundredths of the maximum)]. */
export type PackedContext = readonly [number, number, readonly number[], readonly number[]];

/** Pairs of (token index, value). */
export type PackedLogits = readonly number[];

/** What each latent of a stage's SAE fires on; index = latent. */
export interface PackedFeatures {
  readonly density: readonly (number | null)[];
  readonly max: readonly (number | null)[];
  readonly contexts: readonly (readonly PackedContext[])[];
  readonly top: readonly PackedLogits[];
  readonly bottom: readonly PackedLogits[];
}

/** The rows of one comparison, worst first; without one, the latents of the stage. */
export interface PackedTable {
  /** Index of the stage; its parent is the one before. */
  readonly stage: number;
  /** Whether the rows carry verdicts. */
  readonly compared: boolean;
  /** 1: a latent of the child. */
  readonly side: readonly number[];
  readonly latent: readonly number[];
  /** Index into `verdicts`, −1 = none. */
  readonly verdict: readonly number[];
  readonly detail: readonly string[];
  readonly match: readonly number[];
  /** The others of the other side, by row, where there is more than one. */
  readonly others: Readonly<Record<number, readonly number[]>>;
  readonly lineage: readonly string[];
  readonly firings_parent: readonly number[];
  readonly firings_child: readonly number[];
  /** Figures by the names of persistence/<name>.arrow. */
  readonly measures: Readonly<Record<string, readonly (number | null)[]>>;
  readonly thresholds: {
    /** The floor: each latent's own τ is the larger of it and the null of its firing frequency. */
    readonly correlation: number;
    readonly cosine: number;
    readonly containment: number;
  } | null;
}

/** All that the page's script is given. */
export interface LatentPayload {
  readonly version: 1;
  readonly verdicts: readonly {
    readonly key: string;
    readonly label: string;
    readonly colour: string;
    readonly meaning: string;
  }[];
  readonly tokens: readonly string[];
  readonly stages: readonly {
    readonly name: string;
    readonly label: string;
    readonly features: PackedFeatures | null;
  }[];
  readonly tables: readonly PackedTable[];
  /** Name of the stage that is shown first. */
  readonly shown: string;
}

export interface PayloadOptions {
  /** Tokens kept before and after the peak of a context. */
  readonly before?: number;
  readonly after?: number;
  /** Contexts of the whole page, shared out evenly; at most `perLatent` each. */
  readonly contexts?: number;
  readonly perLatent?: number;
  /** Tokens of each list of logits. */
  readonly logits?: number;
}

const defaults: Required<PayloadOptions> = {
  before: 8,
  after: 5,
  contexts: 13_000,
  perLatent: 5,
  logits: 5,
};

/** Packs the latents of all stages; `shown` is the index of the stage that is shown first. */
export function latentPayload(
  run: RunData,
  shown: number,
  options: PayloadOptions = {},
): LatentPayload {
  const settings = { ...defaults, ...options };
  const vocabulary = new Vocabulary();
  const total = run.stages.reduce((sum, { features }) => sum + (features?.density.length ?? 0), 0);
  const perLatent = Math.max(
    1,
    Math.min(settings.perLatent, Math.floor(settings.contexts / Math.max(1, total))),
  );
  let left = Math.floor(settings.contexts / perLatent); // latents that still get contexts
  const packedStages = run.stages.map(({ name, features }) => {
    const most = Math.min(left, features?.density.length ?? 0);
    left -= most;
    return {
      name,
      label: stageLabel(name),
      features: features && packFeatures(features, vocabulary, settings, perLatent, most),
    };
  });
  return {
    version: 1,
    verdicts: verdictWords.map(({ key, label, colour, meaning }) => ({
      key,
      label,
      colour,
      meaning,
    })),
    tokens: vocabulary.words,
    stages: packedStages,
    tables: run.stages.flatMap((stage, index) => {
      if (stage.verdicts !== null) return [packVerdicts(stage, stage.verdicts, index)];
      return stage.features === null ? [] : [packUncompared(stage.features, index)];
    }),
    shown: run.stages[shown].name,
  };
}

function packFeatures(
  features: FeatureTable,
  vocabulary: Vocabulary,
  { before, after, logits }: Required<PayloadOptions>,
  perLatent: number,
  most: number,
): PackedFeatures {
  const latents = Array.from(features.density.keys());
  const pack = (items: readonly TokenLogit[]): number[] =>
    items
      .slice(0, logits)
      .flatMap(({ token, value }) => [vocabulary.indexOf(token), rounded(value, 2) ?? 0]);
  return {
    density: latents.map((id) => rounded(features.density[id])),
    max: latents.map((id) => rounded(features.maxActivation[id])),
    contexts: latents.map((id) =>
      id >= most
        ? []
        : features
            .contexts(id)
            .slice(0, perLatent)
            .map((item) =>
              packContext(item, features.maxActivation[id], vocabulary, before, after),
            ),
    ),
    top: latents.map((id) => pack(features.topLogits(id))),
    bottom: latents.map((id) => pack(features.bottomLogits(id))),
  };
}

function packContext(
  { doc, pos, tokens, activations }: LatentContext,
  max: number,
  vocabulary: Vocabulary,
  before: number,
  after: number,
): PackedContext {
  let peak = 0;
  activations.forEach((value, i) => {
    if (value > activations[peak]) peak = i;
  });
  const from = Math.max(0, peak - before);
  const to = Math.min(tokens.length, peak + after + 1);
  const scale = max > 0 ? max : Math.max(activations[peak] ?? 0, Number.MIN_VALUE);
  const firing: number[] = [];
  for (let i = from; i < to; i++) {
    const level = Math.min(100, Math.round((100 * activations[i]) / scale));
    if (level > 0) firing.push(i - from, level);
  }
  return [doc, pos, tokens.slice(from, to).map((token) => vocabulary.indexOf(token)), firing];
}

function packVerdicts({ persistence }: StageData, table: VerdictTable, stage: number): PackedTable {
  const firings = (row: number): number =>
    table.isChild[row] ? table.firingsChild[row] : table.firingsParent[row];
  const rows = Array.from({ length: table.rows }, (_, row) => row)
    // a child with an ancestor is in its parent's row
    .filter((row) => !table.isChild[row] || ["born", "uncovered"].includes(table.verdict[row]))
    .sort(
      (a, b) =>
        severity(table.verdict[a]) - severity(table.verdict[b]) ||
        firings(b) - firings(a) ||
        table.isChild[a] - table.isChild[b] ||
        table.latent[a] - table.latent[b],
    );
  const known = verdictWords.map(({ key }) => key);
  const thresholds = persistence?.thresholds;
  return {
    stage,
    compared: true,
    side: rows.map((row) => table.isChild[row]),
    latent: rows.map((row) => table.latent[row]),
    verdict: rows.map((row) => known.indexOf(table.verdict[row])),
    detail: rows.map((row) => table.detail[row]),
    match: rows.map((row) => table.match[row]),
    others: Object.fromEntries(
      rows.flatMap((row, i) =>
        table.matches[row].length > 1 ? [[i, table.matches[row].slice(1)]] : [],
      ),
    ),
    lineage: rows.map((row) => table.lineageStage[row]),
    firings_parent: rows.map((row) => table.firingsParent[row]),
    firings_child: rows.map((row) => table.firingsChild[row]),
    measures: Object.fromEntries(
      measureNames
        .filter((name) => rows.some((row) => !Number.isNaN(table.measures[name][row])))
        .map((name) => [name, rows.map((row) => rounded(table.measures[name][row]))]),
    ),
    thresholds: thresholds
      ? {
          correlation: thresholds.correlation.floor,
          cosine: thresholds.cosine.used,
          containment: thresholds.containment,
        }
      : null,
  };
}

/** The latents of a stage that has no verdicts, the most frequent first. */
function packUncompared(features: FeatureTable, stage: number): PackedTable {
  const rows = Array.from(features.density.keys()).sort(
    (a, b) => (features.density[b] || 0) - (features.density[a] || 0) || a - b,
  );
  return {
    stage,
    compared: false,
    side: rows.map(() => 1),
    latent: rows,
    verdict: rows.map(() => -1),
    detail: [],
    match: rows.map(() => -1),
    others: {},
    lineage: [],
    firings_parent: [],
    firings_child: [],
    measures: {},
    thresholds: null,
  };
}

/** Tokens by index, in the order in which they are met. */
class Vocabulary {
  readonly words: string[] = [];
  readonly #index = new Map<string, number>();

  indexOf(token: string): number {
    const known = this.#index.get(token);
    if (known !== undefined) return known;
    this.#index.set(token, this.words.length);
    this.words.push(token);
    return this.words.length - 1;
  }
}

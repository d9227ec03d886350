/** The stages as the header and the captions name them: size, growth in words, state. */

import type { ModelSize } from "../run-data/evaluation.ts";
import type { RunData, StageData } from "../run-data.ts";

/** A stage in the header. */
export interface StagePill {
  readonly name: string;
  /** "01 wider". */
  readonly label: string;
  /** "2 × 96", layers × width; null while unknown. */
  readonly size: string | null;
  /** Whether anything of it is there. */
  readonly begun: boolean;
  /** Whether its features were compared with its parent's. */
  readonly compared: boolean;
}

/** All stages of the plan; none in a run on a dump, which has a single one without a model. */
export function stagePills(run: RunData): StagePill[] {
  if (run.activations !== null) return [];
  return run.stages.map((stage, index) => {
    const size = sizeOf(run, index);
    return {
      name: stage.name,
      label: stageLabel(stage.name),
      size: size && sizeLabel(size),
      begun: hasBegun(stage),
      compared: stage.persistence !== null,
    };
  });
}

/** "01-wider" as "01 wider". */
export function stageLabel(name: string): string {
  return name.replace("-", " ");
}

/** Sizes of a stage's model: as measured, as mapped, or as planned. */
export function sizeOf(run: RunData, index: number): Partial<ModelSize> | null {
  const stage = run.stages[index];
  const measured = stage?.evaluation?.model;
  if (measured?.d_model !== undefined) return measured;
  if (stage?.map) return stage.map.child;
  const following = run.stages[index + 1]?.map;
  if (following) return following.parent;
  const { d_model, layers } = run.plan.baseSize;
  return index === 0 && d_model !== null && layers !== null ? { d_model, n_layer: layers } : null;
}

/** "2 × 96". */
export function sizeLabel({ n_layer, d_model }: Partial<ModelSize>): string {
  return `${n_layer ?? "?"} × ${d_model ?? "?"}`;
}

/** What an expansion changed: "widened from 64 to 96 and deepened from 2 to 4 layers". */
export function growthPhrase(
  before: Partial<ModelSize> | null,
  after: Partial<ModelSize> | null,
): string {
  if (before === null || after === null) return "expanded";
  const change = (key: keyof ModelSize): readonly [number, number] | null => {
    const [from, to] = [before[key], after[key]];
    return from === undefined || to === undefined || from === to ? null : [from, to];
  };
  const [width, depth, neurons] = [change("d_model"), change("n_layer"), change("d_mlp")];
  const parts = [
    ...(width ? [`widened from ${width[0]} to ${width[1]}`] : []),
    ...(depth ? [`deepened from ${depth[0]} to ${depth[1]} layers`] : []),
    ...(neurons && !width ? [`given ${neurons[1]} neurons a layer in place of ${neurons[0]}`] : []),
  ];
  const experts = after.n_expert !== before.n_expert ? after.n_expert : undefined;
  if (experts !== undefined) parts.push(`given ${experts} experts a layer`);
  return parts.length === 0 ? "expanded" : parts.join(" and ");
}

/** The short form for charts: "64 → 96", "2 → 4 layers". */
export function growthLabel(
  before: Partial<ModelSize> | null,
  after: Partial<ModelSize> | null,
): string {
  const parts: string[] = [];
  if (before && after) {
    if (before.d_model !== after.d_model) parts.push(`${before.d_model} → ${after.d_model} wide`);
    if (before.n_layer !== after.n_layer) parts.push(`${before.n_layer} → ${after.n_layer} layers`);
  }
  if (after?.n_expert !== before?.n_expert) parts.push(`${after?.n_expert} experts`);
  return parts.length === 0 ? "expansion" : parts.join(", ");
}

/** "00 base → 01 wider", for captions. */
export function transition(run: RunData, index: number): string {
  return `${stageLabel(run.stages[index - 1].name)} → ${stageLabel(run.stages[index].name)}`;
}

function hasBegun({ evaluation, map, features, circuit }: StageData): boolean {
  return evaluation !== null || map !== null || features !== null || circuit !== null;
}

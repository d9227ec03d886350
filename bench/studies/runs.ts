/** @file The runs of docs/study.md: three plans, their seeds, and the ways of growing that one of them is varied by. */

import type { SharedTask } from "./shared-tasks.ts";

/** A way of growing that `methods.yaml` is run with. */
export interface Variant {
  readonly name: string;
  /** The stage's `expand`. */
  readonly expand: Readonly<Record<string, number | string>>;
  /** The stage's `train.freeze`. */
  readonly freeze?: "inherited";
}

/** Wider by half, then deeper by a third: the exact method of each, with and without freezing, then those that are not exact. */
export const variants: readonly Variant[] = [
  { name: "lemon", expand: { width: 96, method: "lemon" } },
  { name: "lemon-frozen", expand: { width: 96, method: "lemon" }, freeze: "inherited" },
  { name: "bert2bert-aki", expand: { width: 96, method: "bert2bert-aki" } },
  { name: "ligo", expand: { width: 96, method: "ligo" } },
  { name: "net2net", expand: { width: 96, method: "net2net" } },
  { name: "identity", expand: { layers: 4, depth_method: "identity" } },
  { name: "identity-frozen", expand: { layers: 4, depth_method: "identity" }, freeze: "inherited" },
  { name: "solar", expand: { layers: 4, depth_method: "solar" } },
];

/** The first variant that makes a child of the same size: its from-scratch model is that of them all. */
export function firstOfSize({ expand: { width, layers } }: Variant): Variant {
  return variants.find(({ expand }) => expand.width === width && expand.layers === layers)!;
}

/** The from-scratch model of `methods.yaml`: the method of growth has no part in it. */
export const scratchModel: SharedTask = {
  stage: "01-grown",
  id: "01-grown/lm-scratch",
  folder: "stages/01-grown/arms/scratch",
};

/** One run of the tool. */
export interface StudyRun {
  /** Its folder. */
  readonly name: string;
  /** Its plan in bench/studies. */
  readonly plan: "pilot" | "methods" | "large";
  readonly seed: number;
  /** What its plan is varied by, after the base stage that the variants of a seed share. */
  readonly variant?: Variant;
}

/** Every run, those of a seed together. */
export function studyRuns(seeds: readonly number[]): StudyRun[] {
  return [
    ...seeds.map((seed): StudyRun => ({ name: `pilot-${seed}`, plan: "pilot", seed })),
    ...seeds.flatMap((seed) =>
      variants.map((variant): StudyRun => {
        return { name: `methods-${variant.name}-${seed}`, plan: "methods", seed, variant };
      }),
    ),
    { name: "large-0", plan: "large", seed: 0 },
  ];
}

/** A plan of one stage with the stage grown in another way; everything else is as in the plan. */
export function variedPlan<
  Plan extends { readonly stages: readonly { readonly train?: object }[] },
>(plan: Plan, { expand, freeze }: Variant): Plan {
  const [stage] = plan.stages;
  const train = { ...stage.train, freeze: freeze ?? "none" };
  return { ...plan, stages: [{ ...stage, expand, train }] };
}

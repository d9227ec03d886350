/**
 * The tasks of a plan and what each needs. A plan without SAEs has only models: they are grown, trained and evaluated. Controls follow `controls.arms`; scratch, carried-scratch
 * and no-expand are trained at the last stage only (methods: the 2×2 with its ceilings).
 */
import type { Arm, ResolvedPlan } from "../plan/types.ts";
import { likenessModels } from "./checkpoints.ts";
import { realArm, stageCount, stageName, sweepArm } from "./layout.ts";
import type { CrosscoderArm, SaeJobSpec, Task } from "./task.ts";

/** How an arm begins that goes on with the carried SAE. */
const continued = { start: "carried", seed: 0 } as const;

const crosscoderArms: readonly CrosscoderArm[] = ["crosscoder", "crosscoder-reinit"];

/** The whole graph of a plan, in an order that respects its arrows. `only: "train"` keeps the base stage. */
export function taskGraph(plan: ResolvedPlan, only?: "train"): Task[] {
  if (plan.activations !== null) {
    const title = "SAEs on activations";
    const spec = { kind: "activations" } as const;
    const id = `${stageName(plan, 0)}/sae`;
    return [{ id, stage: 0, title, needs: [], cost: 1, spec }, reportOf(0, [id])];
  }
  const tasks: Task[] = [
    {
      id: "data",
      stage: 0,
      title: "corpus",
      needs: [],
      cost: 2e10,
      spec: { kind: "data", stage: 0 },
    },
  ];
  const last = stageCount(plan) - 1;
  for (let stage = 0; stage <= (only === "train" ? 0 : last); stage++) {
    tasks.push(...(stage === 0 ? baseTasks(plan) : expansionTasks(plan, stage, stage === last)));
    tasks.push(...ceilingTasks(plan, stage));
  }
  const ids = tasks.map(({ id }) => id);
  return [...tasks, reportOf(only === "train" ? 0 : last, ids)];
}

/** The report, after all else. */
function reportOf(stage: number, needs: readonly string[]): Task {
  return { id: "report", stage, title: "report", needs, cost: 2e10, spec: { kind: "report" } };
}

function baseTasks(plan: ResolvedPlan): Task[] {
  const at = (what: string): string => `${stageName(plan, 0)}/${what}`;
  const tasks: Task[] = [
    {
      id: at("lm"),
      stage: 0,
      title: "base model",
      needs: ["data"],
      cost: lmCost(plan, 0, plan.model.train.tokens),
      spec: { kind: "language-model", stage: 0, arm: realArm },
    },
  ];
  if (!hasSaes(plan)) return [...tasks, ...measuringTasks(plan, 0, [at("lm")])];
  tasks.push({
    id: at("sae"),
    stage: 0,
    title: "SAE on the base model",
    needs: [at("lm")],
    cost: saeCost(plan, 0, 1),
    spec: {
      kind: "sae",
      stage: 0,
      model: { stage: 0, arm: realArm },
      jobs: [{ arm: realArm, start: "fresh", seed: 0 }],
    },
  });
  return [...tasks, ...measuringTasks(plan, 0, [at("sae")])];
}

/** Fresh SAEs on the parent of the last stage, a ceiling of its comparison (FP), where they are no arm of that parent already. */
function ceilingTasks(plan: ResolvedPlan, stage: number): Task[] {
  const isLastParent = stage === stageCount(plan) - 2;
  const isArm = stage > 0 && has(plan, "fresh");
  const jobs = has(plan, "fresh-parent") ? freshJobs(plan, "fresh") : [];
  if (!isLastParent || isArm || jobs.length === 0 || !hasSaes(plan)) return [];
  const name = stageName(plan, stage);
  return [
    {
      id: `${name}/sae-fresh`,
      stage,
      title: `fresh SAEs on the ${stage === 0 ? "base" : plan.stages[stage - 1].name} model`,
      needs: [`${name}/lm`],
      cost: saeCost(plan, stage, jobs.length),
      spec: { kind: "sae", stage, model: { stage, arm: realArm }, jobs },
    },
  ];
}

function expansionTasks(plan: ResolvedPlan, stage: number, isLast: boolean): Task[] {
  const name = stageName(plan, stage);
  const at = (what: string): string => `${name}/${what}`;
  const before = (what: string): string => `${stageName(plan, stage - 1)}/${what}`;
  const settings = plan.stages[stage - 1];
  const gates = stage > 1 && plan.stages[stage - 2].gates.length > 0 ? [before("gates")] : [];
  const tasks: Task[] = [];
  const trained: string[] = [];
  const add = (task: Omit<Task, "stage">): string => {
    tasks.push({ ...task, stage });
    return task.id;
  };
  const train = (
    what: string,
    title: string,
    model: { stage: number; arm: string },
    needs: string[],
    jobs: readonly SaeJobSpec[],
  ): void => {
    if (jobs.length === 0 || !hasSaes(plan)) return;
    trained.push(
      add({
        id: at(what),
        title,
        needs,
        cost: saeCost(
          plan,
          stage,
          jobs.reduce((sum, { times = 1 }) => sum + times, 0),
        ),
        spec: { kind: "sae", stage, model, jobs },
      }),
    );
  };

  if (settings.data !== null) {
    add({
      id: at("data"),
      title: "corpus",
      needs: dataTasks(plan, stage - 1),
      cost: 2e10,
      spec: { kind: "data", stage },
    });
  }
  const ownData = settings.data === null ? [] : [at("data")];
  add({
    id: at("expand"),
    title: "expansion",
    needs: [before("lm"), ...(hasSaes(plan) ? [before("sae")] : []), ...ownData, ...gates],
    cost: 2e10,
    spec: { kind: "expand", stage },
  });
  const grownModel = add({
    id: at("lm"),
    title: `${settings.name} model`,
    needs: [at("expand")],
    cost: lmCost(plan, stage, settings.train.tokens),
    spec: { kind: "language-model", stage, arm: realArm },
  });
  if (!hasSaes(plan)) trained.push(grownModel);
  const grown = { stage, arm: realArm };
  train(
    "sae",
    "carried and fresh SAEs",
    grown,
    [at("lm")],
    [
      { arm: realArm, start: "carried", seed: 0 },
      ...(has(plan, "fresh") ? freshJobs(plan, "fresh") : []),
      ...(has(plan, "rotated") ? [{ ...continued, arm: "rotated", turn: "all" } as const] : []),
      ...(has(plan, "perturbed")
        ? [{ ...continued, arm: "perturbed", turn: "some" } as const]
        : []),
      ...plan.controls.sweep.map((times) => ({ ...continued, arm: sweepArm(times), times })),
    ],
  );
  if (has(plan, "same-model")) {
    train(
      "sae-same-model",
      "SAE trained on, unchanged parent",
      { stage: stage - 1, arm: realArm },
      [at("expand")],
      [{ arm: "same-model", start: "parent", seed: 0 }],
    );
  }
  if (has(plan, "reinit")) {
    train(
      "sae-reinit",
      "SAE trained on, random weights",
      { stage, arm: "reinit" },
      [at("expand")],
      [
        { ...continued, arm: "reinit" },
        ...(has(plan, "perturbed")
          ? [{ ...continued, arm: "perturbed-reinit", turn: "some" } as const]
          : []),
      ],
    );
  }
  const witnesses = hasSaes(plan)
    ? crosscoderArms
        .filter((arm) => has(plan, arm))
        .map((arm) =>
          add({
            id: at(arm),
            title: arm === "crosscoder" ? "crosscoder" : "crosscoder, random weights",
            needs: [before("sae"), arm === "crosscoder" ? grownModel : at("expand")],
            cost: crosscoderCost(plan, stage),
            spec: { kind: "crosscoder", stage, arm },
          }),
        )
    : [];
  if (isLast && (has(plan, "scratch") || has(plan, "carried-scratch"))) {
    const total = plan.model.train.tokens + plan.stages.reduce((sum, s) => sum + s.train.tokens, 0);
    trained.push(
      add({
        id: at("lm-scratch"),
        title: "from-scratch model",
        needs: dataTasks(plan, stage),
        cost: lmCost(plan, stage, total),
        spec: { kind: "language-model", stage, arm: "scratch" },
      }),
    );
    train(
      "sae-scratch",
      "SAEs on the from-scratch model",
      { stage, arm: "scratch" },
      [at("lm-scratch"), at("expand")],
      [
        ...(has(plan, "carried-scratch")
          ? [{ arm: "carried-scratch", start: "carried", seed: 0 } as const]
          : []),
        ...(has(plan, "scratch") ? freshJobs(plan, "scratch") : []),
      ],
    );
  }
  if (isLast && has(plan, "no-expand")) {
    trained.push(
      add({
        id: at("lm-no-expand"),
        title: "unexpanded model",
        needs: [before("lm"), ...ownData],
        cost: lmCost(plan, stage - 1, settings.train.tokens),
        spec: { kind: "language-model", stage, arm: "no-expand" },
      }),
    );
    train(
      "sae-no-expand",
      "SAE on the unexpanded model",
      { stage, arm: "no-expand" },
      [at("lm-no-expand"), before("sae")],
      [{ arm: "no-expand", start: "parent", seed: 0 }],
    );
  }
  if (settings.gates.length > 0) {
    add({
      id: at("gates"),
      title: "gates",
      needs: [at("lm")],
      cost: 1e10,
      spec: { kind: "gates", stage },
    });
  }
  if (hasSaes(plan)) {
    add({
      id: at("likeness"),
      title: "likeness over training",
      needs: [
        ...[before("sae"), grownModel],
        ...["lm-scratch", "sae-scratch", "lm-no-expand"]
          .map(at)
          .filter((id) => tasks.some((task) => task.id === id)),
      ],
      cost: likenessCost(plan, stage),
      spec: { kind: "likeness", stage },
    });
  }
  const ceiling = ceilingTasks(plan, stage - 1).map(({ id }) => id);
  return [...tasks, ...measuringTasks(plan, stage, [...trained, ...ceiling], witnesses)];
}

/** Evaluation, comparison and circuits of a stage, once the SAEs and models that it is evaluated through are trained. */
function measuringTasks(
  plan: ResolvedPlan,
  stage: number,
  trained: readonly string[],
  witnesses: readonly string[] = [],
): Task[] {
  const at = (what: string): string => `${stageName(plan, stage)}/${what}`;
  const before = stage === 0 ? [] : [`${stageName(plan, stage - 1)}/circuits`];
  const tasks: Task[] = [
    {
      id: at("evaluate"),
      stage,
      title: "evaluation and dumps",
      needs: trained,
      cost: 8e10,
      spec: { kind: "evaluate", stage },
    },
  ];
  if (!hasSaes(plan)) return tasks;
  tasks.push({
    id: at("circuits"),
    stage,
    title: "circuits",
    needs: [at("sae"), ...before],
    cost: 8e10,
    spec: { kind: "circuits", stage },
  });
  if (stage > 0) {
    const parent = `${stageName(plan, stage - 1)}/evaluate`;
    tasks.push({
      id: at("compare"),
      stage,
      title: "persistence",
      needs: [at("evaluate"), parent, ...witnesses],
      cost: 1.5e11,
      spec: { kind: "compare", stage },
    });
  }
  return tasks;
}

/** `fresh-1`, `fresh-2`, … or `scratch-1`, … */
function freshJobs(plan: ResolvedPlan, arm: "fresh" | "scratch"): SaeJobSpec[] {
  return Array.from({ length: plan.controls.fresh_seeds }, (_, i) => ({
    arm: `${arm}-${i + 1}`,
    start: "fresh",
    seed: i + 1,
  }));
}

function hasSaes(plan: ResolvedPlan): boolean {
  return plan.saes.length > 0;
}

/** The tasks that make the token sets of the stages up to `stage`: each knows the split of those before it. */
function dataTasks(plan: ResolvedPlan, stage: number): string[] {
  const own = plan.stages
    .slice(0, stage)
    .flatMap(({ data }, i) => (data === null ? [] : [`${stageName(plan, i + 1)}/data`]));
  return ["data", ...own];
}

function has(plan: ResolvedPlan, arm: Arm): boolean {
  return plan.controls.arms.includes(arm);
}

/** Training operations of a language model, by its approximate size at a stage. */
function lmCost(plan: ResolvedPlan, stage: number, tokens: number): number {
  const { d_model, layers } = approximateSize(plan, stage);
  return 6 * (12 * layers * d_model ** 2 + plan.tokenizer.vocab_size * d_model) * tokens;
}

/** Training operations of `jobs` SAEs fed by one stream of activations. */
function saeCost(plan: ResolvedPlan, stage: number, jobs: number): number {
  const { d_model, layers } = approximateSize(plan, stage);
  let cost = 0;
  for (const sae of plan.saes) {
    cost += sae.tokens * (jobs * 8 * d_model * sae.d_sae + 24 * layers * d_model ** 2);
  }
  return cost;
}

/** Training operations of a stage's crosscoders, which read two models. */
function crosscoderCost(plan: ResolvedPlan, stage: number): number {
  const [parent, child] = [approximateSize(plan, stage - 1), approximateSize(plan, stage)];
  const passes = [parent, child].reduce(
    (sum, { d_model, layers }) => sum + layers * d_model ** 2,
    0,
  );
  let cost = 0;
  for (const { tokens, d_sae } of plan.saes) {
    cost += tokens * (8 * (parent.d_model + child.d_model) * d_sae + 24 * passes);
  }
  return cost;
}

/** Some passes of each checkpoint's model, and codes of each on the held-out tokens. */
function likenessCost(plan: ResolvedPlan, stage: number): number {
  const { d_model, layers } = approximateSize(plan, stage);
  const models = likenessModels(plan, stage);
  const latents = plan.saes.reduce((sum, { d_sae }) => sum + d_sae, 0);
  const pass = 24 * layers * d_model ** 2 * plan.saes.length;
  return models * plan.eval.tokens * (pass + 8 * d_model * (latents + d_model));
}

/** Only for progress and scheduling; the true sizes are known after each expansion. */
function approximateSize(plan: ResolvedPlan, stage: number): { d_model: number; layers: number } {
  let { d_model, layers } = plan.model;
  for (const { expand } of plan.stages.slice(0, stage)) {
    d_model = grow(d_model, expand.width);
    layers = grow(layers, expand.layers);
  }
  return { d_model, layers };
}

function grow(size: number, growth: number | string | null): number {
  if (growth === null) return size;
  if (typeof growth === "number") return growth;
  if (growth.startsWith("+")) return size + Number(growth.slice(1));
  return Math.round(size * Number(growth.slice(0, -1)));
}

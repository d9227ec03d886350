// The tasks of a plan: which there are, that each comes after all it reads, and what their arms are.
import { describe, expect, test } from "vitest";
import { resolvePlan } from "../../../cli/plan/index.ts";
import type { Arm, PlanInput, ResolvedPlan } from "../../../cli/plan/types.ts";
import { stageArms } from "../../../cli/run/arms.ts";
import { taskGraph } from "../../../cli/run/graph.ts";
import {
  carriedDir,
  expansionDir,
  modelDir,
  saeDir,
  stageCount,
  trainingDataDir,
} from "../../../cli/run/layout.ts";
import type { Task } from "../../../cli/run/task.ts";

const wider = { name: "wider", expand: { width: 96 } };
const deeper = { name: "deeper", expand: { layers: "+2" } };
const gated = { ...wider, gates: [{ kind: "held_out_loss" as const, max: 5 }] };
const saes = [{ name: "resid" }, { name: "mlp", hook: "blocks.0.hook_mlp_out" }];

const resolve = (input: PlanInput): ResolvedPlan => resolvePlan(input, "/", "plan.yaml");
const everyArm = resolve({ controls: { preset: "full" } }).controls.arms;

function find(tasks: readonly Task[], id: string): Task {
  const task = tasks.find((candidate) => candidate.id === id);
  if (!task) throw new Error(`no task ${id}`);
  return task;
}

function jobsOf(tasks: readonly Task[], id: string): string[] {
  const { spec } = find(tasks, id);
  return spec.kind === "sae" ? spec.jobs.map(({ arm, start }) => `${arm} ${start}`) : [];
}

/** A task and all that it needs, directly or not. */
function upstream(tasks: readonly Task[], id: string, found = new Set<string>()): Set<string> {
  if (!found.has(id)) {
    found.add(id);
    for (const need of find(tasks, id).needs) upstream(tasks, need, found);
  }
  return found;
}

/** The folders of models and SAEs that a task writes. */
function writes(plan: ResolvedPlan, { spec }: Task): string[] {
  const names = plan.saes.map(({ name }) => name);
  switch (spec.kind) {
    case "data":
      return [dataFile(plan, spec.stage)];
    case "language-model":
      return [modelDir(plan, spec.stage, spec.arm)];
    case "expand":
      return [
        `${expansionDir(plan, spec.stage)}/model`,
        ...names.map((name) => carriedDir(plan, spec.stage, name)),
      ];
    case "sae":
      return [
        ...(spec.model.arm === "reinit" ? [modelDir(plan, spec.stage, "reinit")] : []),
        ...names.flatMap((name) => spec.jobs.map(({ arm }) => saeDir(plan, spec.stage, name, arm))),
      ];
    case "crosscoder":
      return names.map((name) => saeDir(plan, spec.stage, name, spec.arm));
    default:
      return [];
  }
}

/** The folders of models and SAEs that a task reads. */
function reads(plan: ResolvedPlan, { spec }: Task): string[] {
  const names = plan.saes.map(({ name }) => name);
  const saesOf = (stage: number): string[] => names.map((name) => saeDir(plan, stage, name));
  switch (spec.kind) {
    case "language-model":
      if (spec.arm === "scratch") return plan.stages.map((_, i) => dataFile(plan, i + 1));
      if (spec.stage === 0) return [dataFile(plan, 0)];
      return spec.arm === "no-expand"
        ? [modelDir(plan, spec.stage - 1), dataFile(plan, spec.stage)]
        : [`${expansionDir(plan, spec.stage)}/model`, dataFile(plan, spec.stage)];
    case "expand":
      return [modelDir(plan, spec.stage - 1), ...saesOf(spec.stage - 1)];
    case "sae":
      return [
        dataFile(plan, spec.stage),
        ...(spec.model.arm === "reinit" ? [] : [modelDir(plan, spec.model.stage, spec.model.arm)]),
        ...spec.jobs.flatMap(({ start }) => {
          if (start === "parent") return saesOf(spec.stage - 1);
          // fresh SAEs of a grown model take the carried one's hook
          return spec.stage === 0 ? [] : names.map((name) => carriedDir(plan, spec.stage, name));
        }),
      ];
    case "crosscoder":
      return [
        dataFile(plan, spec.stage),
        modelDir(plan, spec.stage - 1),
        ...saesOf(spec.stage - 1),
        ...names.map((name) => carriedDir(plan, spec.stage, name)),
        ...(spec.arm === "crosscoder" ? [modelDir(plan, spec.stage)] : []),
      ];
    case "evaluate":
    case "compare":
      return [
        ...(spec.kind === "compare" ? crosscoders(plan, spec.stage) : []),
        ...controlModels(plan, spec.stage),
        ...(spec.stage === 0 ? [] : [modelDir(plan, spec.stage - 1), ...saesOf(spec.stage - 1)]),
        ...names.flatMap((name) =>
          stageArms(plan, spec.stage, name).flatMap(({ model, sae }) => [model, sae]),
        ),
      ];
    case "likeness":
      return [
        ...controlModels(plan, spec.stage),
        ...[modelDir(plan, spec.stage - 1), modelDir(plan, spec.stage), ...saesOf(spec.stage - 1)],
        `${expansionDir(plan, spec.stage)}/model`,
        ...names.map((name) => carriedDir(plan, spec.stage, name)),
        ...names.flatMap((name) =>
          stageArms(plan, spec.stage, name)
            .filter(({ arm }) => arm === "scratch-1")
            .map(({ sae }) => sae),
        ),
      ];
    case "circuits":
      return [
        modelDir(plan, spec.stage),
        ...saesOf(spec.stage),
        ...(spec.stage === 0 ? [] : [`${expansionDir(plan, spec.stage)}/model`]),
      ];
    case "gates":
      return [modelDir(plan, spec.stage), modelDir(plan, spec.stage - 1)];
    default:
      return [];
  }
}

/** The crosscoders that a stage is compared with. */
function crosscoders(plan: ResolvedPlan, stage: number): string[] {
  const arms = stage === 0 ? [] : plan.controls.arms.filter((arm) => arm.startsWith("crosscoder"));
  return plan.saes.flatMap(({ name }) => arms.map((arm) => saeDir(plan, stage, name, arm)));
}

/** The token sets that a stage trains on. */
const dataFile = (plan: ResolvedPlan, stage: number): string =>
  `${trainingDataDir(plan, stage)}/train.safetensors`;

/** The models that eval.json has beside the stage's own. */
function controlModels(plan: ResolvedPlan, stage: number): string[] {
  const { arms } = plan.controls;
  if (stage === 0 || stage !== stageCount(plan) - 1) return [];
  return [
    ...(arms.includes("scratch") || arms.includes("carried-scratch")
      ? [modelDir(plan, stage, "scratch")]
      : []),
    ...(arms.includes("no-expand") ? [modelDir(plan, stage, "no-expand")] : []),
  ];
}

const plans: [string, ResolvedPlan][] = [
  ["no expansion", resolve({})],
  ["one expansion", resolve({ stages: [wider] })],
  ["two expansions, two SAEs", resolve({ stages: [wider, deeper], saes })],
  [
    "text of their own",
    resolve({
      stages: [{ ...wider, data: { order: "file" } }, deeper, { expand: { width: 128 }, data: {} }],
    }),
  ],
  ["a gate between expansions", resolve({ stages: [gated, deeper] })],
  ["quick controls", resolve({ stages: [wider, deeper], controls: { preset: "quick" } })],
  ["four seeds", resolve({ stages: [wider], controls: { preset: "full" } })],
  ["no seed", resolve({ stages: [wider, deeper], controls: { fresh_seeds: 0 } })],
  ["no seed, once", resolve({ stages: [wider], controls: { fresh_seeds: 0 } })],
  ["no control", resolve({ stages: [wider, deeper], controls: { arms: [] } })],
  ...everyArm.flatMap((arm): [string, ResolvedPlan][] => [
    [`${arm} alone, once`, resolve({ stages: [wider], controls: { arms: [arm] } })],
    [`${arm} alone, twice`, resolve({ stages: [wider, deeper], controls: { arms: [arm] } })],
  ]),
];

describe.each(plans)("%s", (_, plan) => {
  const tasks = taskGraph(plan);

  test("ids are unique, every need is a task, and each comes before what needs it", () => {
    const seen = new Set<string>();
    for (const { id, needs } of tasks) {
      expect(seen).not.toContain(id);
      for (const need of needs) expect(seen).toContain(need);
      seen.add(id);
    }
    expect(tasks.every(({ cost }) => cost > 0)).toBe(true);
  });

  test("every model and SAE that a task reads was written by a task it needs", () => {
    for (const task of tasks) {
      const behind = [...upstream(tasks, task.id)].filter((id) => id !== task.id);
      const there = new Set(behind.flatMap((id) => writes(plan, find(tasks, id))));
      for (const path of reads(plan, task))
        expect(there, `${task.id} reads ${path}`).toContain(path);
    }
  });

  test("every SAE that is trained is evaluated somewhere, and none is written twice", () => {
    const written = tasks.flatMap((task) => writes(plan, task));
    expect(new Set(written).size).toBe(written.length);
    const evaluated = new Set(
      Array.from({ length: stageCount(plan) }, (_, stage) => stage).flatMap((stage) =>
        plan.saes
          .flatMap(({ name }) => stageArms(plan, stage, name).map(({ sae }) => sae))
          .concat(crosscoders(plan, stage)),
      ),
    );
    for (const path of written.filter((path) => path.includes("/sae/"))) {
      expect(evaluated).toContain(path);
    }
  });

  test("the report comes last and needs everything", () => {
    const { id, needs, stage } = tasks[tasks.length - 1];
    expect([id, stage]).toEqual(["report", stageCount(plan) - 1]);
    expect(needs).toEqual(tasks.slice(0, -1).map((task) => task.id));
  });
});

test("train's graph is the base stage and its report", () => {
  const plan = resolve({ stages: [wider, deeper] });
  expect(taskGraph(plan, "train").map(({ id }) => id)).toEqual([
    ...["data", "00-base/lm", "00-base/sae", "00-base/evaluate", "00-base/circuits", "report"],
  ]);
  // a run without expansions has nothing more
  expect(taskGraph(resolve({}))).toEqual(taskGraph(resolve({}), "train"));
  // nor do later expansions change what the base's tasks are
  const whole = taskGraph(plan);
  for (const task of taskGraph(plan, "train").slice(0, -1)) expect(whole).toContainEqual(task);
});

test("with one expansion fresh SAEs are trained on the base, the ceiling of its comparison", () => {
  const one = taskGraph(resolve({ stages: [wider] }));
  expect(jobsOf(one, "00-base/sae-fresh")).toEqual(["fresh-1 fresh", "fresh-2 fresh"]);
  expect(find(one, "01-wider/evaluate").needs).toContain("00-base/sae-fresh");
  expect(find(one, "00-base/evaluate").needs).toEqual(["00-base/sae"]);
  // with two, those of the first expansion are its own arm already
  const two = taskGraph(resolve({ stages: [wider, deeper] }));
  expect(two.map(({ id }) => id).filter((id) => id.endsWith("sae-fresh"))).toEqual([]);
  expect(jobsOf(two, "01-wider/sae")).toContain("fresh-1 fresh");
  // unless they aren't asked for: then the ceiling is trained by itself
  const ceiling = taskGraph(
    resolve({ stages: [wider, deeper], controls: { arms: ["fresh-parent"] } }),
  );
  expect(jobsOf(ceiling, "01-wider/sae")).toEqual(["carried carried"]);
  expect(jobsOf(ceiling, "01-wider/sae-fresh")).toEqual(["fresh-1 fresh", "fresh-2 fresh"]);
});

test("arms of each expansion, and those of the last alone", () => {
  const tasks = taskGraph(resolve({ stages: [wider, deeper] }));
  const ofStage = (stage: number): string[] =>
    tasks
      .filter((task) => task.stage === stage && task.id !== "report")
      .map(({ id }) => id.slice(3));
  const everywhere = ["expand", "lm", "sae", "sae-same-model", "sae-reinit", "crosscoder"];
  const measured = ["likeness", "evaluate", "circuits", "compare"];
  expect(ofStage(1)).toEqual([...everywhere, ...measured].map((what) => `wider/${what}`));
  expect(ofStage(2)).toEqual(
    [
      ...everywhere,
      ...["lm-scratch", "sae-scratch", "lm-no-expand", "sae-no-expand"],
      ...measured,
    ].map((what) => `deeper/${what}`),
  );
  expect(jobsOf(tasks, "02-deeper/sae")).toEqual([
    "carried carried",
    "fresh-1 fresh",
    "fresh-2 fresh",
    "rotated carried",
    "perturbed carried",
  ]);
  expect(jobsOf(tasks, "02-deeper/sae-reinit")).toEqual([
    "reinit carried",
    "perturbed-reinit carried",
  ]);
  expect(jobsOf(tasks, "02-deeper/sae-scratch")).toEqual([
    ...["carried-scratch carried", "scratch-1 fresh", "scratch-2 fresh"],
  ]);
  expect(jobsOf(tasks, "02-deeper/sae-same-model")).toEqual(["same-model parent"]);
  expect(jobsOf(tasks, "02-deeper/sae-no-expand")).toEqual(["no-expand parent"]);
});

test("arms that are not asked for are not trained", () => {
  const only = (...arms: Arm[]): string[] =>
    taskGraph(resolve({ stages: [wider], controls: { arms } })).flatMap(({ spec }) =>
      spec.kind === "sae" ? spec.jobs.map(({ arm }) => arm) : [],
    );
  expect(only()).toEqual(["carried", "carried"]);
  expect(only("frozen")).toEqual(["carried", "carried"]);
  expect(only("scratch")).toEqual(["carried", "carried", "scratch-1", "scratch-2"]);
  expect(only("carried-scratch")).toEqual(["carried", "carried", "carried-scratch"]);
  expect(only("reinit")).toEqual(["carried", "carried", "reinit"]);
});

test("the next expansion waits for the gates of the one before, and for nothing else of its measurements", () => {
  const tasks = taskGraph(resolve({ stages: [gated, deeper] }));
  expect(find(tasks, "01-wider/gates").needs).toEqual(["01-wider/lm"]);
  expect(find(tasks, "02-deeper/expand").needs).toEqual([
    ...["01-wider/lm", "01-wider/sae", "01-wider/gates"],
  ]);
  const plain = taskGraph(resolve({ stages: [wider, deeper] }));
  expect(upstream(plain, "02-deeper/lm")).not.toContain("01-wider/evaluate");
});

test("every task trains all of the plan's SAEs", () => {
  const tasks = taskGraph(resolve({ stages: [wider], saes }));
  const one = taskGraph(resolve({ stages: [wider] }));
  expect(tasks.map(({ id }) => id)).toEqual(one.map(({ id }) => id));
  // only the costs differ
  expect(find(tasks, "00-base/sae").cost).toBeGreaterThan(1.9 * find(one, "00-base/sae").cost);
});

test("costs by hand: 6 operations a weight and token, sizes as the expansions make them", () => {
  const plan = resolve({
    tokenizer: { vocab_size: 100 },
    model: { d_model: 8, layers: 2, heads: 2, train: { tokens: 1000 } },
    saes: [{ d_sae: 32, k: 4, tokens: 500 }],
    stages: [
      { expand: { width: "1.5x" }, train: { tokens: 400 } },
      { expand: { layers: "+1" }, train: { tokens: 300 } },
    ],
    controls: { arms: ["scratch", "fresh"] },
  });
  const tasks = taskGraph(plan);
  const lm = (d: number, layers: number, tokens: number): number =>
    6 * (12 * layers * d * d + 100 * d) * tokens;
  expect(find(tasks, "00-base/lm").cost).toBe(lm(8, 2, 1000));
  expect(find(tasks, "01-wider/lm").cost).toBe(lm(12, 2, 400));
  expect(find(tasks, "02-deeper/lm").cost).toBe(lm(12, 3, 300));
  expect(find(tasks, "02-deeper/lm-scratch").cost).toBe(lm(12, 3, 1700));
  // 3 jobs side by side share the model's forward pass
  expect(find(tasks, "01-wider/sae").cost).toBe(500 * (3 * 8 * 12 * 32 + 24 * 2 * 12 * 12));
});

describe("a plan without SAEs", () => {
  const plan = resolve({ saes: [], stages: [wider, deeper] });

  test("grows, trains and evaluates models, and nothing else", () => {
    const kinds = new Set(taskGraph(plan).map(({ spec }) => spec.kind));
    expect([...kinds].sort()).toEqual(["data", "evaluate", "expand", "language-model", "report"]);
  });

  test("evaluates a stage after its model and its controls", () => {
    const { needs } = find(taskGraph(plan), "02-deeper/evaluate");
    expect([...needs].sort()).toEqual([
      "02-deeper/lm",
      "02-deeper/lm-no-expand",
      "02-deeper/lm-scratch",
    ]);
  });
});

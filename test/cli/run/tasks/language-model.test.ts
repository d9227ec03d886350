// Training a grown model: its optimizer's start, what is frozen, and the same bytes after an interruption.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { resolvePlan } from "../../../../cli/plan/resolve.ts";
import type { ResolvedPlan, StageTrainPlan } from "../../../../cli/plan/types.ts";
import { checkpointDir, checkpoints } from "../../../../cli/run/checkpoints.ts";
import { frozenEntries } from "../../../../cli/run/frozen.ts";
import { expansionDir, modelDir, realArm } from "../../../../cli/run/layout.ts";
import { drawnGrowth, growthRng, plannedGrowth } from "../../../../cli/run/planned-growth.ts";
import type { TaskProgress } from "../../../../cli/run/task.ts";
import { TaskContext } from "../../../../cli/run/task-context.ts";
import { dataTask } from "../../../../cli/run/tasks/data.ts";
import { languageModelTask } from "../../../../cli/run/tasks/language-model.ts";
import { useBackend } from "../../../../src/engine/index.ts";
import { expandModel, growMoments } from "../../../../src/expansion/index.ts";
import { Interrupted } from "../../../../src/io/index.ts";
import {
  gpt2Config,
  loadModel,
  loadMoments,
  openCheckpoint,
  readCheckpoint,
  saveModel,
} from "../../../../src/models/index.ts";
import { testBackend } from "../../../support/backend.ts";
import { smallText } from "../../../support/small-run.ts";

let folder = "";
let text = "";

function plan(train: Partial<StageTrainPlan>, expand: object, baseTokens = 1280): ResolvedPlan {
  const settings = { batch_tokens: 128, lr: 0.004 };
  return resolvePlan(
    {
      seed: 3,
      data: { path: text, context: 16 },
      tokenizer: { vocab_size: 280 },
      model: { d_model: 8, layers: 1, heads: 2, train: { ...settings, tokens: baseTokens } },
      stages: [{ expand, train: { tokens: 1280, ...train } }],
    },
    "/",
    "plan.yaml",
  );
}

/** A task's surroundings; `stopAfter` counts how often it asks whether to stop. */
function contextOf(
  run: string,
  of: ResolvedPlan,
  id: string,
  stopAfter = Number.POSITIVE_INFINITY,
): { context: TaskContext; told: TaskProgress[] } {
  const told: TaskProgress[] = [];
  let asked = 0;
  const task = {
    id,
    stage: 1,
    title: id,
    needs: [],
    cost: 1,
    spec: { kind: "data", stage: 0 } as const,
  };
  const context = new TaskContext(
    run,
    of,
    task,
    (progress) => told.push(progress),
    () => ++asked > stopAfter,
  );
  return { context, told };
}

/** The base model and the grown one, as the tasks before leave them. */
async function grown(of: ResolvedPlan, name: string): Promise<string> {
  const run = join(folder, name);
  await dataTask(contextOf(run, of, "data").context, 0);
  await languageModelTask(contextOf(run, of, "00-base/lm").context, 0, realArm);
  const parent = loadModel(`${run}/${modelDir(of, 0)}`);
  const { options } = plannedGrowth(of, 1, parent.config);
  const { child } = await expandModel(parent, options, growthRng(of, 1));
  saveModel(`${run}/${expansionDir(of, 1)}/model`, child);
  return run;
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "sae-carry-lm-"));
  text = join(folder, "text.txt");
  writeFileSync(text, smallText(1000));
  await useBackend(testBackend);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe("a grown model with carried moments", () => {
  test("begins with the parent's through the growth; the unexpanded control keeps them as they are", async () => {
    const carry = plan({ optimizer: "carry" }, { width: 16, layers: 2 });
    const run = await grown(carry, "carry");
    const parent = loadModel(`${run}/${modelDir(carry, 0)}`);
    const before = loadMoments(`${run}/${modelDir(carry, 0)}`, parent.config)!;
    expect(before.step).toBe(10);
    const short = { ...carry, stages: [withTokens(carry, 0)] };
    const outputs = await languageModelTask(contextOf(run, short, "a").context, 1, realArm);
    // nothing was trained, so nothing is kept beside it
    expect(outputs.some((path) => path.endsWith("optimizer.safetensors"))).toBe(false);
    const one = { ...carry, stages: [withTokens(carry, 1)] };
    await languageModelTask(contextOf(run, one, "b").context, 1, realArm);
    await languageModelTask(contextOf(run, one, "c").context, 1, "no-expand");
    const child = loadModel(`${run}/${modelDir(one, 1)}`);
    const after = loadMoments(`${run}/${modelDir(one, 1)}`, child.config)!;
    expect(after.step).toBe(11);
    const { growth } = drawnGrowth(carry, 1, parent.config);
    const mapped = growMoments(growth, parent.config, before, "carry");
    // v ← β₂ v + (1 − β₂) g², which is at least β₂ v
    for (const [name, v] of after.v) {
      const least = mapped.v.get(name)!.map((value) => 0.95 * value * (1 - 1e-5));
      expect(
        v.every((value, i) => value >= least[i]),
        name,
      ).toBe(true);
    }
    // the control's moments are a control's own affair: none are kept
    expect(loadMoments(`${run}/${modelDir(one, 1, "no-expand")}`, parent.config)).toBeNull();
  });

  test("interrupted again and again, ends with the same bytes", async () => {
    const frozen = plan({ optimizer: "asymmetric", freeze: "inherited" }, { width: 12, layers: 2 });
    const run = await grown(frozen, "interrupted");
    const outputs = await languageModelTask(contextOf(run, frozen, "lm").context, 1, realArm);
    // 10 steps: kept after 1, 3 and 5 of them, then the model, its moments
    expect(checkpoints(frozen, 1, realArm).map(({ step }) => step)).toEqual([1, 3, 5]);
    const weights = outputs.filter((path) => path.endsWith(".safetensors"));
    expect(weights).toHaveLength(5);
    const bytes = () => weights.map((path) => readFileSync(`${run}/${path}`, "hex"));
    const whole = bytes();
    expect(new Set(whole).size).toBe(5);
    for (const path of weights) rmSync(`${run}/${path}`);
    let stops = 0;
    for (let done = false; !done; ) {
      // log, ask, log, ask …: a stop after a few of them comes between two steps
      const { context } = contextOf(run, frozen, "lm-again", 6);
      done = await languageModelTask(context, 1, realArm).then(
        () => true,
        (error: unknown) => {
          expect(error).toBeInstanceOf(Interrupted);
          stops += 1;
          return false;
        },
      );
    }
    expect(stops).toBeGreaterThan(1);
    expect(bytes()).toEqual(whole);
  });

  test("checkpoints are models in half precision, on the way from start to end", async () => {
    const of = plan({ checkpoints: 2 }, { width: 12 });
    const run = await grown(of, "kept");
    await languageModelTask(contextOf(run, of, "lm").context, 1, realArm);
    const kept = checkpoints(of, 1, realArm).map((point) =>
      openCheckpoint(`${run}/${checkpointDir(of, 1, realArm, point)}`),
    );
    expect(kept.map(({ dtype }) => dtype)).toEqual(["F16", "F16"]);
    const path = [
      loadModel(`${run}/${expansionDir(of, 1)}/model`),
      ...kept.map(readCheckpoint),
      loadModel(`${run}/${modelDir(of, 1)}`),
    ].map(({ weights }) => weights.get("transformer.wte.weight")?.data as Float32Array);
    const distance = path.map((at) => Math.hypot(...at.map((value, i) => value - path[0][i])));
    expect(distance).toEqual([...distance].sort((a, b) => a - b));
    expect(distance[1]).toBeGreaterThan(0.01);
  });

  test("freezing what is inherited moves free entries and inserted layers alone", async () => {
    const frozen = plan({ freeze: "inherited" }, { width: 12, layers: 2 });
    const run = await grown(frozen, "frozen");
    await languageModelTask(contextOf(run, frozen, "lm").context, 1, realArm);
    const start = loadModel(`${run}/${expansionDir(frozen, 1)}/model`);
    const end = loadModel(`${run}/${modelDir(frozen, 1)}`);
    const parent = loadModel(`${run}/${modelDir(frozen, 0)}`).config;
    const masks = frozenEntries(frozen, 1, realArm, parent);
    let moved = 0;
    for (const [name, { data }] of end.weights) {
      const before = start.weights.get(name)!.data as Float32Array;
      const mask = masks.get(name);
      (data as Float32Array).forEach((value, i) => {
        const isFrozen = mask === "all" || mask?.[i] === 1;
        if (isFrozen) expect(value, `${name}[${i}]`).toBe(before[i]);
        else if (value !== before[i]) moved++;
      });
    }
    expect(moved).toBeGreaterThan(500);
  });

  test("a parent that was not trained here has no moments: reset, and said", async () => {
    const untrained = plan({ optimizer: "carry" }, { layers: 2 }, 0);
    const run = await grown(untrained, "untrained");
    const { context, told } = contextOf(run, untrained, "lm");
    await languageModelTask(context, 1, realArm);
    expect(told.map(({ note }) => note).find((note) => note !== undefined)).toMatch(
      /the optimizer is reset, not carry: the parent was not trained in this run/,
    );
  });
});

const baseConfig = ({ model, data, tokenizer }: ResolvedPlan) =>
  gpt2Config({
    vocab_size: tokenizer.vocab_size,
    n_positions: data.context,
    n_embd: model.d_model,
    n_layer: model.layers,
    n_head: model.heads,
    n_inner: model.mlp,
  });

function withTokens(of: ResolvedPlan, tokens: number): ResolvedPlan["stages"][number] {
  return { ...of.stages[0], train: { ...of.stages[0].train, tokens } };
}

describe("what a stage freezes", () => {
  const parentOf = (of: ResolvedPlan) => ({ of, parent: baseConfig(of) });

  test("old layers: everything but the inserted block; patterns, also in the unexpanded control", () => {
    const old = parentOf(plan({ freeze: "old-layers" }, { layers: 2, positions: "top" }));
    const frozen = frozenEntries(old.of, 1, realArm, old.parent);
    expect([...frozen.keys()].some((name) => name.includes(".h.1."))).toBe(false);
    expect(frozen.get("transformer.wte.weight")).toBe("all");
    expect(frozenEntries(old.of, 1, "no-expand", old.parent).size).toBe(0);
    const some = parentOf(plan({ freeze: ["*.mlp.*"] }, { layers: 2 }));
    expect(frozenEntries(some.of, 1, realArm, some.parent).size).toBe(8);
    expect(frozenEntries(some.of, 1, "no-expand", some.parent).size).toBe(4);
    expect(frozenEntries(some.of, 1, "scratch", some.parent).size).toBe(0);
  });

  test("a pattern without a parameter and a stage without anything to train are refused", () => {
    const wrong = parentOf(plan({ freeze: ["*.mlpp.*"] }, { layers: 2 }));
    expect(() => frozenEntries(wrong.of, 1, realArm, wrong.parent)).toThrow(
      /stages\[0\]\.train\.freeze.*\*\.mlpp\.\*/,
    );
    for (const freeze of ["inherited", "old-layers"] as const) {
      const copies = parentOf(plan({ freeze }, { width: 16 }));
      expect(() => frozenEntries(copies.of, 1, realArm, copies.parent)).toThrow("every parameter");
    }
  });
});

// SAEs of every architecture, at hooks, widths and batch sizes of their own, fed by the same forward passes.
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { resolvePlan } from "../../../../cli/plan/resolve.ts";
import type { SaePlan } from "../../../../cli/plan/types.ts";
import { TaskContext } from "../../../../cli/run/task-context.ts";
import { saeStreams, trainSideBySide } from "../../../../cli/run/tasks/train-side-by-side.ts";
import {
  architectureNames,
  architectures,
  modelSequences,
  type Sae,
  saeConfig,
} from "../../../../sae/index.ts";
import { createRng, useBackend } from "../../../../src/engine/index.ts";
import { Interrupted } from "../../../../src/io/index.ts";
import { gpt2Config, initModel, type Model, placeModel } from "../../../../src/models/index.ts";
import { testBackend } from "../../../support/backend.ts";

const context = 9;
const set = {
  ids: Int32Array.from({ length: 40 * context }, (_, i) => (i * i + 5 * i) % 17),
  nSeq: 40,
  context,
};
const hooks = ["blocks.0.hook_resid_post", "blocks.0.mlp.hook_post", "blocks.1.attn.hook_z"];
const { saes } = resolvePlan(
  {
    model: { layers: 2 },
    saes: architectureNames.map((architecture, i) => ({
      name: architecture,
      architecture,
      hook: hooks[i % 3],
      d_sae: 12 + i,
      k: 3,
      tokens: 24 * (i < 4 ? 20 : 15),
      batch_tokens: i === 2 ? 16 : 24,
      dead_after_tokens: 200,
      // as in data whose large norms are a matter of degree: some rows are replaced
      max_norm_ratio: 1.2,
    })),
  },
  "/",
  "the test",
);

let folder = "";
let model: Model;
beforeAll(async () => {
  await useBackend(testBackend);
  folder = mkdtempSync(join(tmpdir(), "side-by-side-"));
  const sizes = { vocab_size: 17, n_positions: context, n_embd: 6, n_layer: 2, n_head: 2 };
  model = placeModel(initModel(gpt2Config(sizes), createRng(2)));
});
afterAll(() => rmSync(folder, { recursive: true }));

/** Trains in a folder of its own; with `stopAt`, a stop is asked for before that step's end, and a second attempt goes on. */
async function train(name: string, plans: readonly SaePlan[], stopAt?: number): Promise<Sae[]> {
  const dir = join(folder, name);
  mkdirSync(dir, { recursive: true });
  const attempt = async (stop?: number): Promise<Sae[]> => {
    let breaths = 0;
    const node = {
      id: "task",
      stage: 0,
      title: "",
      needs: [],
      cost: 1,
      spec: { kind: "report" },
    } as const;
    const plan = resolvePlan({}, "/", "the test");
    const task = new TaskContext(
      dir,
      plan,
      node,
      () => {},
      () => breaths >= (stop ?? 1e9),
    );
    const breathe = task.breathe.bind(task);
    task.breathe = (save) => {
      breaths++;
      return breathe(save);
    };
    const saved = task.begin();
    const streams = saeStreams(
      plans.map((sae) => ({ sae, hook: sae.hook })),
      (names) => modelSequences(model, names, set),
      createRng("order"),
    );
    const arms = plans.map((sae, i) => ({
      sae,
      source: streams[i],
      job: {
        name: "carried",
        config: saeConfig({
          architecture: sae.architecture,
          d_in: streams[i].dIn,
          d_sae: sae.d_sae,
          k: architectures[sae.architecture].k === "none" ? null : sae.k,
          matryoshka_widths: sae.matryoshka_widths,
          hook_name: sae.hook,
        }),
        init: null,
        rng: createRng(`sae ${sae.name}`),
        pinNorms: false,
      },
      steps: Math.ceil(sae.tokens / sae.batch_tokens),
    }));
    const trained = await trainSideBySide(task, "00-base", arms, saved);
    task.finish();
    return trained;
  };
  if (stopAt !== undefined) {
    await expect(attempt(stopAt)).rejects.toThrow(Interrupted);
  }
  return attempt();
}

const metrics = (name: string): string[] =>
  readFileSync(join(folder, name, ".work", "task", "metrics.jsonl"), "utf8")
    .trim()
    .split("\n");

describe("SAEs of six architectures, three hooks, six widths and two batch sizes", () => {
  let together: Sae[] = [];
  beforeAll(async () => {
    together = await train("together", saes);
  });

  test.each(saes.map((sae, i) => [sae.name, sae, i] as const))(
    "%s ends with the bytes, and the curve, that it has alone",
    async (name, sae, i) => {
      const [alone] = await train(`alone-${name}`, [sae]);
      expect(together[i]).toEqual(alone);
      expect(metrics("together").filter((line) => JSON.parse(line).sae === name)).toEqual(
        metrics(`alone-${name}`),
      );
    },
  );

  // 17 lies after the SAEs of 15 steps have ended
  test.each([1, 7, 17])("stopped after step %i they end with the same bytes", async (stop) => {
    expect(await train(`stopped-${stop}`, saes, stop)).toEqual(together);
    expect(metrics(`stopped-${stop}`)).toEqual(metrics("together"));
  });

  test("some latents died and were revived or not on the way: the counters matter", () => {
    const dead = metrics("together").map((line) => JSON.parse(line).dead_fraction as number);
    expect(Math.max(...dead)).toBeGreaterThan(0);
  });
});

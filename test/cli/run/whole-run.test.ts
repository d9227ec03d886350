// A whole small run in this process, begun with `train` and gone on with by --expand: what it says of its
// parts, which backend it stays on, and that its measurements can be stopped.
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { jsonDocuments } from "../../../cli/json-schemas.ts";
import { readStoredPlan } from "../../../cli/plan/store.ts";
import type { ResolvedPlan } from "../../../cli/plan/types.ts";
import { taskGraph } from "../../../cli/run/graph.ts";
import { runTask } from "../../../cli/run/run-task.ts";
import type { Task } from "../../../cli/run/task.ts";
import { metricsPart } from "../../../cli/run/task-context.ts";
import type { LikenessFile } from "../../../cli/run/tasks/likeness.ts";
import type { PersistenceDocument } from "../../../sae/index.ts";
import { type CrosscoderDocument, loadCrosscoder } from "../../../sae/index.ts";
import { readTokenSet } from "../../../src/data/index.ts";
import { useBackend } from "../../../src/engine/index.ts";
import {
  Interrupted,
  readArrow,
  readJson,
  readJsonl,
  sha256File,
  valueAt,
} from "../../../src/io/index.ts";
import { heldOutLoss, loadModel, placeModel } from "../../../src/models/index.ts";
import { testBackend } from "../../support/backend.ts";
import { type Ending, runCommand } from "../../support/command-line.ts";
import { smallText } from "../../support/small-run.ts";

let folder = "";
const at = (...parts: string[]): string => join(folder, ...parts);
const stage = (...parts: string[]): string => at("run", "stages", ...parts);

async function succeed(...args: string[]): Promise<Ending> {
  const ending = await runCommand(...args);
  expect(ending.code, ending.err).toBe(0);
  return ending;
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "whole-run-"));
  writeFileSync(at("my.txt"), smallText(1500));
  writeFileSync(
    at("plan.yaml"),
    `workers: 1
data: {path: my.txt, context: 16}
tokenizer: {vocab_size: 280}
model: {d_model: 8, layers: 1, heads: 2, train: {tokens: 2000, batch_tokens: 256}}
saes: [{hook: blocks.0.hook_resid_post, d_sae: 16, k: 4, tokens: 2000, batch_tokens: 256}]
controls: {preset: quick, arms: [frozen, fresh, fresh-parent, same-model, reinit, crosscoder, crosscoder-reinit, rotated, perturbed], sweep: [2]}
eval: {tokens: 1000, min_firings: 5, bootstrap: 20}
`,
  );
  await succeed("train", at("plan.yaml"), "--out", at("run"));
  await succeed(
    ...["expand-and-track", at("run"), "--expand", "layers=+1,positions=-1"],
    ...["--tokens", "1000", "--sae-tokens", "1000", "--new-latents", "4"],
  );
});
afterAll(() => rmSync(folder, { recursive: true }));

async function storedPlan(): Promise<ResolvedPlan> {
  return (await readStoredPlan(at("run"))) as ResolvedPlan;
}

describe("a run that was begun with train and got an expansion later", () => {
  test("holds the grown model against its parent at the checkpoints that its training left", () => {
    const document = readJson(stage("01-deeper", "likeness.json")) as LikenessFile;
    expect(() => jsonDocuments.likeness.schema.parse(document)).not.toThrow();
    const [{ child, scratch, references, latents }] = document.saes;
    // 4 steps of 256 tokens: kept after 1 and 2 of them
    expect(child.map(({ tokens }) => tokens)).toEqual([0, 256, 512, 1024]);
    expect(child[0].total_tokens).toBe(2000);
    expect(latents.parent).toBeGreaterThan(0);
    // growth was exact: what the carried SAE reads is what the parent's did, to the last bits
    expect(child[0].in_place.value).toBeCloseTo(1, 5);
    expect(child[0].to_parent.value).toBeCloseTo(references.parent.to_parent.value as number, 3);
    expect(child[3].in_place.value).toBeLessThan(1);
    expect([scratch, references.no_expand, child[0].to_scratch]).toEqual([null, null, null]);
    expect(references.random?.to_parent.value).toBeLessThan(child[3].to_parent.value as number);
  });

  test("tests inertia: turned latents, all directions turned, and a longer training", () => {
    const document = readJson(stage("01-deeper", "persistence.json")) as PersistenceDocument;
    expect(document.arms.map(({ arm }) => arm)).toEqual(
      expect.arrayContaining(["rotated", "perturbed", "perturbed-reinit", "carried-2x"]),
    );
    expect(document.continuation?.map(({ times }) => times)).toEqual([0, 1, 2]);
    // 16 latents: a tenth of them is 2
    expect(document.perturb_and_return).toMatchObject({ turned: 2, reinit: {} });
    expect(document.inertia.rotated).toBeGreaterThan(0);
    const steps = readJsonl(at("run", "metrics.jsonl")) as { arm: string; tokens: number }[];
    const trained = (arm: string): number =>
      Math.max(...steps.flatMap((line) => (line.arm === arm ? [line.tokens] : [])));
    expect(trained("carried-2x")).toBe(2 * trained("perturbed"));
  });

  test("has the history of every latent, which its verdicts tell", () => {
    const document = jsonDocuments.history.schema.parse(readJson(at("run", "history.json")));
    expect(document).toMatchObject({ saes: [{ name: "resid", cohorts: [{ stage: "00-base" }] }] });
    const histories = readArrow(at("run", "history", "resid.arrow"));
    const verdicts = readArrow(stage("01-deeper", "persistence", "resid.arrow"));
    const first = histories.get("verdicts", "lists");
    expect(histories.rows).toBe(16);
    for (let latent = 0; latent < 16; latent++) {
      expect(valueAt(first, latent)).toEqual([verdicts.strings("verdict")[latent]]);
    }
  });

  test("has the fresh SAEs on its base that the comparison is read against", () => {
    const { saes } = readJson(stage("01-deeper", "eval.json")) as { saes: { arm: string }[] };
    expect(saes.map(({ arm }) => arm)).toContain("fresh-parent-1");
  });

  test("names the model that each SAE reads, the carried ones the grown model", () => {
    const nameOf = (...parts: string[]): string =>
      (readJson(stage(...parts, "resid", "cfg.json")) as { metadata: { model_name: string } })
        .metadata.model_name;
    expect(nameOf("00-base", "sae")).toBe("00-base");
    expect(nameOf("01-deeper", "carried")).toBe("01-deeper");
    expect(nameOf("01-deeper", "sae")).toBe("01-deeper");
    expect(nameOf("01-deeper", "arms", "reinit", "sae")).toBe("01-deeper");
    expect(nameOf("01-deeper", "arms", "same-model", "sae")).toBe("00-base");
  });

  test("has a crosscoder's word beside every verdict", () => {
    const { crosscoder } = readJson(stage("01-deeper", "persistence.json")) as {
      crosscoder: CrosscoderDocument;
    };
    const { latents, by_norm, reinit, verdicts } = crosscoder;
    const all = (counts: object): number =>
      Object.values(counts).reduce((sum, n) => sum + (typeof n === "number" ? n : 0), 0);
    expect([all(latents), all(by_norm), all(reinit?.latents ?? {})]).toEqual([20, 20, 20]);
    expect(verdicts.reduce((sum, row) => sum + all(row) - row.aligned, 0)).toBe(16);
    const table = readArrow(stage("01-deeper", "persistence", "resid.arrow"));
    const words = table.strings("crosscoder");
    expect(words.length).toBe(16 + 20);
    const shared = verdicts.reduce((sum, row) => sum + row.shared, 0);
    expect(words.slice(0, 16).filter((word) => word === "shared").length).toBe(shared);
    // where a latent is found its counterpart's figures are there
    const [latent, nu] = [table.int32("crosscoder_latent", -1), table.float32("nu_error")];
    words.forEach((word, row) => {
      if (word === "shared")
        expect([latent[row] >= 0, Number.isFinite(nu[row])]).toEqual([true, true]);
    });
    const { parent, child } = loadCrosscoder(
      stage("01-deeper", "arms", "crosscoder", "sae", "resid"),
    );
    expect([parent.model_name, child.model_name]).toEqual(["00-base", "01-deeper"]);
  });

  test("says nothing of energy off the image, for growth in depth leaves nothing off it", () => {
    expect(readJson(stage("01-deeper", "eval.json"))).toMatchObject({
      off_image: null,
      copy_spread: null,
      exactness: { max_abs_dlogit: expect.any(Number) },
    });
  });

  test("keeps backend, threads and workers as it was begun", async () => {
    const { backend } = readJson(at("run", "manifest.json")) as { backend: { name: string } };
    await succeed(
      ...["expand-and-track", at("run"), "--backend", backend.name, "--threads", "2"],
      ...["--workers", "2"],
    );
    expect(await storedPlan()).toMatchObject({ backend: "auto", threads: "auto", workers: 1 });
  });
});

describe("its activation dump", () => {
  test("names each row by document and place", () => {
    const table = readArrow(stage("00-base", "activations.arrow"));
    const [doc, pos] = [table.int32("doc"), table.int32("pos")];
    expect(new Set(Array.from(doc, (d, row) => `${d} ${pos[row]}`)).size).toBe(table.rows);
    expect(Math.min(...pos)).toBe(0);
  });

  test("says the same of its origin as one that `dump` writes", async () => {
    const hook = "blocks.0.hook_resid_post";
    const model = stage("00-base", "model");
    const line = ["dump", model, "--hook", hook, "--text", at("my.txt"), "--tokens", "100"];
    await succeed(...line, "--out", at("dump.arrow"), "--backend", testBackend);
    const ours = readArrow(stage("00-base", "activations.arrow")).metadata;
    // a run's dump has the rows that SAEs are measured on, `dump` all of them
    const first = "sae_carry.first_tokens_excluded";
    expect(readArrow(at("dump.arrow")).metadata).toEqual({ ...ours, [first]: "0" });
    expect(ours[first]).toBe("1");
    expect(ours["sae_carry.hook"]).toBe(hook);
    expect(ours["sae_carry.model_sha256"]).toBe(sha256File(join(model, "model.safetensors")));
  });
});

describe("the backend of a run", () => {
  test("is the one that began it: auto means that one, another is refused with its name", async () => {
    await succeed("train", at("plan.yaml"), "--out", at("plain"), "--backend", "cpu");
    const again = await succeed("train", at("plan.yaml"), "--out", at("plain"));
    expect(again.err).toContain("backend cpu: it began the run");
    await succeed("train", at("plain"), "--backend", "cpu");
    const other = await runCommand("train", at("plain"), "--backend", testBackend);
    expect(other.code).toBe(2);
    expect(other.err).toContain("--backend cpu");
  });
});

describe("a crosscoder's task", () => {
  test("stopped after some steps ends with the bytes of one that was not", async () => {
    await useBackend(testBackend);
    const plan = await storedPlan();
    const task = taskGraph(plan).find(({ id }) => id === "01-deeper/crosscoder") as Task;
    const files = ["cfg.json", "sae_weights.safetensors"].map((name) =>
      stage("01-deeper", "arms", "crosscoder", "sae", "resid", name),
    );
    const metrics = at("run", metricsPart(task.id));
    const stoppedAfter = async (patience: number): Promise<Buffer[]> => {
      let asked = 0;
      const done = runTask(
        at("run"),
        plan,
        task,
        () => {},
        () => ++asked > patience,
      );
      if (patience < Infinity) {
        await expect(done).rejects.toThrow(Interrupted);
        await runTask(
          at("run"),
          plan,
          task,
          () => {},
          () => false,
        );
      } else await done;
      return [...files, metrics].map((path) => readFileSync(path));
    };
    const whole = await stoppedAfter(Infinity);
    expect(await stoppedAfter(7)).toEqual(whole);
  });
});

describe("asked to stop", () => {
  test.each(["evaluate", "compare", "circuits"] as const)("%s stops soon", async (kind) => {
    await useBackend(testBackend);
    const plan = await storedPlan();
    const task = taskGraph(plan).find(
      ({ spec, stage }) => spec.kind === kind && stage === 1,
    ) as Task;
    const before = readFileSync(stage("01-deeper", "eval.json"));
    for (const patience of [0, 1]) {
      let asked = 0;
      const stopping = (): boolean => ++asked > patience;
      const stopped = runTask(at("run"), plan, task, () => {}, stopping);
      if (kind === "circuits" && patience > 0)
        await stopped; // one place to stop, between the models
      else await expect(stopped).rejects.toThrow(Interrupted);
    }
    expect(readFileSync(stage("01-deeper", "eval.json"))).toEqual(before);
  });
});

describe("the order of the training sequences", () => {
  // The first logged loss is that of the first batch under the initial weights.
  async function firstLoss(order: "file" | "shuffled", tokens: number): Promise<number | null> {
    const dir = mkdtempSync(at("order-"));
    cpSync(at("run", "data"), join(dir, "data"), { recursive: true });
    const stored = await storedPlan();
    const plan: ResolvedPlan = {
      ...stored,
      data: { ...stored.data, order },
      model: { ...stored.model, train: { ...stored.model.train, tokens } },
    };
    const task = taskGraph(plan).find(({ id }) => id === "00-base/lm") as Task;
    await runTask(
      dir,
      plan,
      task,
      () => {},
      () => false,
    );
    const lines = readJsonl(join(dir, metricsPart(task.id))) as { step: number; loss?: number }[];
    if (tokens > 0) return lines.find(({ step }) => step === 1)?.loss ?? null;
    const train = readTokenSet(join(dir, "data", "train.safetensors"));
    const model = placeModel(loadModel(join(dir, "stages", "00-base", "model")));
    const { loss } = await heldOutLoss(model, train.ids.subarray(0, 256), train.context);
    model.dispose();
    return loss;
  }

  test("is that of the corpus under `order: file`", async () => {
    await useBackend(testBackend);
    const want = (await firstLoss("file", 0)) as number;
    expect(await firstLoss("file", 256)).toBeCloseTo(want, 5);
    expect(Math.abs(((await firstLoss("shuffled", 256)) as number) - want)).toBeGreaterThan(1e-4);
  });
});

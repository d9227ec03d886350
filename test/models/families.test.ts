// Every family: hooks at TransformerLens's points, patching, and training that goes on with the same numbers.
import { beforeAll, describe, expect, test } from "vitest";
import { createRng, tf, useBackend } from "../../src/engine/index.ts";
import {
  activationsAt,
  attentionPatterns,
  createLmTrainer,
  forwardHidden,
  forwardLogits,
  type Hook,
  type Hooks,
  hookNames,
  hookWidth,
  initModel,
  lmTrainDefaults,
  type Model,
  modelSizes,
  placeModel,
} from "../../src/models/index.ts";
import { testBackend } from "../support/backend.ts";
import { roughConfigs, roughModel, roughVocabulary } from "../support/rough-models.ts";

const batch = 2;
const context = 7;
const rng = createRng("ids");
const ids = Int32Array.from({ length: batch * context }, () => rng.int(roughVocabulary));

beforeAll(async () => {
  await useBackend(testBackend);
});

function valuesAtHooks(model: Model): Map<string, Float32Array> {
  const values = new Map<string, Float32Array>();
  const keep: Hook = (value, name) => {
    values.set(name, value.dataSync().slice() as Float32Array);
    return undefined;
  };
  const hooks = Object.fromEntries(hookNames(model.config).map((name) => [name, keep]));
  tf.tidy(() => {
    forwardHidden(model, ids, batch, { hooks });
  });
  return values;
}

describe.each(Object.entries(roughConfigs))("%s", (name, config) => {
  const { nLayer, nHead, headDim, vocabSize } = modelSizes(config);

  test("passes every hook in order, and each is what a run that stops there returns", () => {
    const model = placeModel(roughModel(config, name));
    const values = valuesAtHooks(model);
    expect([...values.keys()]).toEqual(hookNames(config));
    for (const [hook, value] of values) {
      if (hook.endsWith("hook_pattern")) continue;
      const alone = activationsAt(model, ids, batch, hook);
      expect(alone.shape).toEqual([batch * context, hookWidth(config, hook)]);
      expect(alone.dataSync()).toBeAllclose(value, { rtol: 0, atol: 1e-5 });
      alone.dispose();
    }
    model.dispose();
  });

  test("the stream is the sum of what is written into it", () => {
    const model = placeModel(roughModel(config, name));
    const at = valuesAtHooks(model);
    const isParallel = !hookNames(config).includes("blocks.0.hook_resid_mid");
    for (let layer = 0; layer < nLayer; layer++) {
      const get = (point: string): Float32Array => at.get(`blocks.${layer}.${point}`)!;
      const attended = get("hook_resid_pre").map((x, i) => x + get("hook_attn_out")[i]);
      if (!isParallel) {
        expect(get("hook_resid_mid")).toBeAllclose(attended, { rtol: 0, atol: 1e-5 });
      }
      const both = attended.map((x, i) => x + get("hook_mlp_out")[i]);
      expect(get("hook_resid_post")).toBeAllclose(both, { rtol: 0, atol: 1e-5 });
    }
    expect(isParallel).toBe(config.model_type === "gpt_neox" && config.use_parallel_residual);
    model.dispose();
  });

  test("patterns are causal distributions, and putting one in its own place changes nothing", () => {
    const model = placeModel(roughModel(config, name));
    const patterns = attentionPatterns(model, ids, batch);
    expect(patterns).toHaveLength(nLayer);
    for (const pattern of patterns) {
      expect(pattern.shape).toEqual([batch, nHead, context, context]);
      const p = pattern.dataSync();
      for (let row = 0; row < batch * nHead * context; row++) {
        let total = 0;
        for (let s = 0; s < context; s++) {
          total += p[row * context + s];
          if (s > row % context) expect(p[row * context + s]).toBe(0);
        }
        expect(total).toBeCloseTo(1, 5);
      }
    }
    const seen = valuesAtHooks(model);
    expect(seen.get("blocks.1.attn.hook_pattern")).toBeAllclose(patterns[1].dataSync(), {
      rtol: 0,
      atol: 1e-6,
    });
    const hooks = { "blocks.1.attn.hook_pattern": () => patterns[1] };
    const [plain, patched] = [{}, { hooks }].map((options) =>
      tf.tidy(() => forwardLogits(model, ids, batch, options)),
    );
    expect(plain.shape).toEqual([batch, context, vocabSize]);
    expect(patched.dataSync()).toBeAllclose(plain.dataSync(), { rtol: 0, atol: 1e-4 });
    tf.dispose([...patterns, plain, patched]);
    model.dispose();
  });

  test("a patched head changes what follows, and nothing at earlier positions", () => {
    const model = placeModel(roughModel(config, name));
    const last = context - 1;
    const silence: Hook = (value) => {
      const [n, width] = value.shape;
      expect(width).toBe(nHead * headDim);
      const mask = new Float32Array(n * width).fill(1);
      for (let b = 0; b < batch; b++) {
        const from = (b * context + last) * width;
        mask.fill(0, from, from + headDim); // the first head's
      }
      return tf.mul(value, tf.tensor2d(mask, [n, width]));
    };
    const silenced: Hooks = { "blocks.0.attn.hook_z": silence };
    const [plain, patched] = [{}, silenced].map((hooks) =>
      tf.tidy(() => forwardLogits(model, ids, batch, { hooks }).dataSync().slice()),
    );
    for (let row = 0; row < batch * context; row++) {
      const difference = Math.max(
        ...Array.from({ length: vocabSize }, (_, v) =>
          Math.abs(patched[row * vocabSize + v] - plain[row * vocabSize + v]),
        ),
      );
      if (row % context === last) expect(difference).toBeGreaterThan(1e-3);
      else expect(difference).toBe(0);
    }
    model.dispose();
  });

  test("trains, and a trainer taken up again goes on with the same numbers", async () => {
    const options = { ...lmTrainDefaults, steps: 12, lr: 0.01 };
    const trainer = createLmTrainer(initModel(config, createRng(name)), options);
    const losses: number[] = [];
    for (let step = 0; step < 8; step++) {
      losses.push((await trainer.step({ ids, context })).loss);
    }
    expect(losses[0]).toBeCloseTo(Math.log(vocabSize), 0);
    expect(losses[7]).toBeLessThan(losses[0] - 0.5);
    const resumed = createLmTrainer(await trainer.state(), options);
    for (let step = 0; step < 2; step++) {
      const [a, b] = [await trainer.step({ ids, context }), await resumed.step({ ids, context })];
      expect(b).toEqual(a);
    }
    trainer.dispose();
    resumed.dispose();
  });
});

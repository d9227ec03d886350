// Exact width methods in f64, where nothing hides in rounding: logits and every hook at random odd sizes, each family's
// own numbers in plain loops and the plan run entry by entry.
import fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import { createRng, tf, useBackend } from "../../../src/engine/index.ts";
import {
  type ExpandOptions,
  mapVectors,
  planExpansion,
  pullBack,
  type WidthMethodName,
  widthMethods,
} from "../../../src/expansion/index.ts";
import {
  forwardLogits,
  type ModelConfig,
  modelSizes,
  placeModel,
} from "../../../src/models/index.ts";
import { testBackend } from "../../support/backend.ts";
import { forwardF64 } from "../../support/forward-f64.ts";
import { executePlanF64 } from "../../support/growth-f64.ts";
import { everyFamily, roughModel, roughVocabulary } from "../../support/rough-models.ts";

beforeAll(async () => {
  await useBackend(testBackend);
});

const families = Object.keys(everyFamily);
const ids = Int32Array.from({ length: 6 }, (_, t) => (7 * t * t + 3) % roughVocabulary);

test.each(families)("the f64 reference is the model that the engine runs: %s", (family) => {
  const host = roughModel(everyFamily[family], family);
  const model = placeModel(host);
  const got = tf.tidy(() => forwardLogits(model, ids, 1).dataSync());
  model.dispose();
  expect(got as Float32Array).toBeAllclose(forwardF64(host, ids).logits, {
    rtol: 1e-4,
    atol: 1e-4,
  });
});

/** Random sizes that `method` is exact for. */
function growth(method: WidthMethodName, config: ModelConfig) {
  const { dModel, headDim, nHead, nKvHead, dMlp } = modelSizes(config);
  const isBound = config.model_type === "gpt2" || config.model_type === "gpt_neox";
  const multiples = method !== "lemon" && method !== "gesmundo-maile";
  const narrow = method === "gesmundo-maile" && isBound;
  return fc
    .record({
      more: fc.nat(7),
      heads: fc.nat(3),
      mlp: fc.integer({ min: 1, max: 60 }),
      noise: fc.constantFrom(null, 0),
      seed: fc.nat(1e6),
      layers: fc.constantFrom(2, 3),
    })
    .map(({ more, heads, mlp, noise, seed, layers }) => {
      const times = 1 + (more % 3);
      const nextHeads =
        method === "hypercloning" ? nHead * (1 + (heads % 3)) : nHead + (nHead / nKvHead) * heads;
      const wanted = multiples ? times * dModel : dModel + (isBound ? more * headDim : more * 3);
      const step = config.model_type === "llama" ? nextHeads : 1;
      const width = narrow
        ? dModel
        : multiples || isBound
          ? wanted
          : Math.ceil(wanted / step) * step;
      const fits = isBound || width % nextHeads === 0 || config.model_type !== "llama";
      const options: ExpandOptions = {
        method,
        depth_method: "identity",
        positions: "top",
        noise_db: noise,
        width,
        layers,
        mlp: method === "hypercloning" ? dMlp * (2 + (mlp % 2)) : dMlp + mlp,
        ...(isBound ? {} : { heads: fits ? nextHeads : nHead }),
      };
      return { options, seed };
    });
}

const methods = Object.keys(widthMethods).filter((name) => name !== "bert2bert-aki");

describe.each(methods as WidthMethodName[])("%s", (method) => {
  test.each(families)("keeps logits and hooks within 1e-10: %s", (family) => {
    const config = everyFamily[family];
    const parent = roughModel(config, family);
    const small = forwardF64(parent, ids);
    fc.assert(
      fc.property(growth(method, config), ({ options, seed }) => {
        const { growth, map } = planExpansion(config, options, createRng(seed));
        expect(map.exact).toBe(true);
        const big = forwardF64(executePlanF64(growth.plan, parent, createRng(seed)), ids);
        expect(big.logits).toBeAllclose(small.logits, { rtol: 0, atol: 1e-10 });
        for (const { from, to, tensor, exact } of map.hooks) {
          const had = small.hooks.get(from);
          if (had === undefined) continue; // a point that the reference does not keep
          for (const hook of to) {
            const has = big.hooks.get(hook) as Float64Array;
            const close = { rtol: 0, atol: 1e-10 };
            expect(pullBack(map, tensor, has), `R at ${hook}`).toBeAllclose(had, close);
            if (exact)
              expect(has, `E at ${hook}`).toBeAllclose(mapVectors(map, tensor, had), close);
          }
        }
      }),
      { numRuns: 2 },
    );
  });
});

import { beforeAll, expect, test } from "vitest";
import { type CircuitNode, patchSetting, runCircuit } from "../../circuits/index.ts";
import { useBackend } from "../../src/engine/index.ts";
import { testBackend } from "../support/backend.ts";
import { dictionary, linearModel, prompts } from "./linear-model.ts";

const ref = (type: CircuitNode["type"], index = 0) => ({ type, layer: 0, index });

beforeAll(async () => {
  await useBackend(testBackend);
});

test("without an SAE the empty circuit is what the clean embedding does beside corrupted nodes", () => {
  const { clean, corrupted, empty } = patchSetting(linearModel, prompts, null);
  // x = 9e: clean 9·(1 + 20) = 189 and 9·(−1 + 40) = 351, corrupted 9·53 = 477 and 189
  expect(clean.metric).toBeAllclose([189, 351]);
  expect(corrupted.metric).toBeAllclose([477, 189]);
  // clean e + 8 × corrupted e: 21 + 8·53 = 445, 39 + 8·21 = 207
  expect(empty).toBeAllclose([445, 207]);
});

test("with an SAE on the residual stream the empty circuit is the corrupted run, the full one the clean run", () => {
  const setting = patchSetting(linearModel, prompts, dictionary);
  expect(setting.empty).toBeAllclose(setting.corrupted.metric);
  expect(runCircuit(setting, [], { complement: true })).toBeAllclose(setting.clean.metric);
});

test("one head alone passes its own value on, directly and through nothing else", () => {
  const setting = patchSetting(linearModel, prompts, null);
  // head 1 clean: z1 = 2·2 = 4 in place of 2·5 = 10, weight 10: 445 − 60; second: 8 for 4: 207 + 40
  expect(runCircuit(setting, [ref("head", 1)])).toBeAllclose([385, 247]);
});

test("a latent in the circuit is recomputed from what reaches it, the others keep their corrupted value", () => {
  const setting = patchSetting(linearModel, prompts, dictionary);
  // With all heads and the MLP in, x is the clean 9e. Prompt 1: x = (9, 18), corrupted (27, 45).
  // Latent 1: f = 18 for 45, direction (.5, .5): x = (27, 45) + (18 − 45)(.5, .5) = (13.5, 31.5).
  const upstream = [ref("head", 0), ref("head", 1), ref("mlp")];
  const got = runCircuit(setting, [...upstream, ref("latent", 1)]);
  expect(got[0]).toBeCloseTo(13.5 + 315, 4);
  // Upstream corrupted as well: the latent sees corrupted nodes beside the clean embedding.
  // x = e + 8e′ = (1,2) + 8(3,5) = (25, 42): f1 = 42, so x = (27, 45) + (42 − 45)(.5, .5).
  expect(runCircuit(setting, [ref("latent", 1)])[0]).toBeCloseTo(25.5 + 435, 4);
});

test("the error node carries what the latents don't", () => {
  const setting = patchSetting(linearModel, prompts, dictionary);
  const upstream = [ref("head", 0), ref("head", 1), ref("mlp")];
  const latents = [ref("latent", 0), ref("latent", 1)];
  // Prompt 1: x̂ = (8 + 9, 9) so error (9,18) − (17,9) = (−8, 9); corrupted x̂ = (26 + 22.5, 22.5),
  // error (27,45) − (48.5,22.5) = (−21.5, 22.5). Latents clean, error corrupted: (−4.5, 31.5).
  expect(runCircuit(setting, [...upstream, ...latents])[0]).toBeCloseTo(-4.5 + 315, 3);
  // Error clean, latents corrupted: (48.5 − 8, 22.5 + 9) = (40.5, 31.5).
  expect(runCircuit(setting, [...upstream, ref("error")])[0]).toBeCloseTo(40.5 + 315, 3);
});

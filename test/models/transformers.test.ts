// Checkpoints of ours in Hugging Face transformers and the other way round: the same logits.
import { writeFileSync } from "node:fs";
import { beforeAll, expect } from "vitest";
import { createRng, tf, useBackend } from "../../src/engine/index.ts";
import {
  forwardLogits,
  gpt2Config,
  type HostModel,
  initGpt2,
  loadModel,
  placeModel,
  saveModel,
} from "../../src/models/index.ts";
import { testBackend } from "../support/backend.ts";
import { temporaryFolder } from "../support/folder.ts";
import { python } from "../support/python.ts";

const at = temporaryFolder();

const script = `
import sys, json, torch
from transformers import AutoModelForCausalLM
folder, ids = sys.argv[1], json.loads(open(sys.argv[2]).read())
model, info = AutoModelForCausalLM.from_pretrained(folder, output_loading_info=True)
assert not info["missing_keys"] and not info["unexpected_keys"], info
with torch.no_grad():
    print(json.dumps(model(torch.tensor(ids)).logits.flatten().tolist()))
`;

/** Weights far from zero, so that a wrong gain, bias or transposition can't hide. */
function roughModel(): HostModel {
  const config = gpt2Config({
    vocab_size: 61,
    n_positions: 12,
    n_embd: 24,
    n_layer: 3,
    n_head: 3,
    n_inner: 40,
    layer_norm_epsilon: 1e-3,
  });
  const rng = createRng("rough");
  const { weights } = initGpt2(config, rng);
  return {
    config,
    weights: new Map(
      [...weights].map(([name, { shape, data }]) => [
        name,
        {
          shape,
          data: Float32Array.from(data as Float32Array, (x) => x + rng.normal() * 0.1),
        },
      ]),
    ),
  };
}

beforeAll(async () => {
  await useBackend(testBackend);
});

python.test(
  "transformers loads a checkpoint of ours and computes the same logits within 1e-4",
  async (run) => {
    const dir = at("model");
    saveModel(dir, roughModel());
    const rng = createRng(3);
    const ids = Int32Array.from({ length: 5 * 11 }, () => rng.int(61));
    const rows = Array.from({ length: 5 }, (_, b) => [...ids.subarray(b * 11, (b + 1) * 11)]);
    writeFileSync(at("ids.json"), JSON.stringify(rows));
    const theirs = JSON.parse(await run(script, [dir, at("ids.json")])) as number[];
    const model = placeModel(loadModel(dir));
    const logits = tf.tidy(() => forwardLogits(model, ids, 5));
    expect(await logits.data()).toBeAllclose(theirs, { rtol: 0, atol: 1e-4 });
  },
);

const theirs = `
import sys, json, torch
from transformers import GPT2Config, GPT2LMHeadModel
torch.manual_seed(0)
config = GPT2Config(vocab_size=61, n_positions=12, n_embd=24, n_layer=2, n_head=3, bos_token_id=60,
                    eos_token_id=60, initializer_range=0.4, layer_norm_epsilon=1e-3)
model = GPT2LMHeadModel(config).eval()
model.save_pretrained(sys.argv[1])
with torch.no_grad():
    print(json.dumps(model(torch.tensor([json.loads(sys.argv[2])])).logits.flatten().tolist()))
`;

python.test(
  "a checkpoint that transformers saved is read and computes the same logits within 1e-4",
  async (run) => {
    const dir = at("model");
    const ids = [60, 0, 17, 17, 5, 44, 9];
    const logits = JSON.parse(await run(theirs, [dir, JSON.stringify(ids)])) as number[];
    const host = loadModel(dir);
    expect(host.config).toMatchObject({ n_inner: 96, eos_token_id: 60, layer_norm_epsilon: 1e-3 });
    const model = placeModel(host);
    const ours = tf.tidy(() => forwardLogits(model, Int32Array.from(ids), 1));
    expect(await ours.data()).toBeAllclose(logits, { rtol: 0, atol: 1e-4 });
  },
);

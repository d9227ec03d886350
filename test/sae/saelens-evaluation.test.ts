// An SAE's figures are those that SAELens's own run_evals has of the same files, on the same model in TransformerLens and
// the same tokens; the SAEBench document has them under its names.
import { writeFileSync } from "node:fs";
import { beforeAll, expect } from "vitest";
import {
  architectureNames,
  coreDocument,
  evaluateSae,
  latentCounts,
  loadSae,
  type Sae,
  saveSae,
} from "../../sae/index.ts";
import { createRng, tf, useBackend } from "../../src/engine/index.ts";
import { activationsAt, gpt2Config, placeModel, saveModel } from "../../src/models/index.ts";
import { testBackend } from "../support/backend.ts";
import { temporaryFolder } from "../support/folder.ts";
import { python } from "../support/python.ts";
import { roughModel } from "../support/rough-models.ts";
import { fittedSae } from "./support/random-sae.ts";

const at = temporaryFolder();

beforeAll(async () => {
  await useBackend(testBackend);
});

const [nSeq, context, vocab] = [12, 16, 61];
const host = roughModel(
  gpt2Config({
    vocab_size: vocab,
    n_positions: 20,
    n_embd: 30,
    n_head: 3,
    n_layer: 2,
    n_inner: 41,
    layer_norm_epsilon: 1e-3,
  }),
  "saelens",
);
const stream = createRng("saelens");
// token 0 begins every sequence and is in none
const ids = Int32Array.from({ length: nSeq * context }, (_, i) =>
  i % context === 0 ? 0 : 1 + stream.int(vocab - 1),
);

const script = `
import sys, json, torch
from sae_lens import SAE
from sae_lens.evals import get_eval_everything_config, run_evals
from sae_lens.training.activation_scaler import ActivationScaler
from transformer_lens import HookedTransformer, HookedTransformerConfig
from transformer_lens.pretrained.weight_conversions import convert_gpt2_weights
from transformers import GPT2LMHeadModel
spec = json.load(open(sys.argv[1]))
hf = GPT2LMHeadModel.from_pretrained(spec["model"]).eval()
c = hf.config
model = HookedTransformer(HookedTransformerConfig(
    n_layers=c.n_layer, d_model=c.n_embd, n_ctx=c.n_positions, d_head=c.n_embd // c.n_head, n_heads=c.n_head,
    d_mlp=c.n_inner, d_vocab=c.vocab_size, act_fn=c.activation_function, eps=c.layer_norm_epsilon,
    normalization_type="LN", device="cpu"))
model.load_state_dict(convert_gpt2_weights(hf, model.cfg), strict=False)
tokens = torch.tensor(spec["ids"]).reshape(-1, spec["context"])
assert torch.allclose(model(tokens), hf(tokens).logits, atol=1e-4)

class Store:
    context_size = tokens.shape[1]
    store_batch_size_prompts = len(tokens)
    def get_batch_tokens(self, n): return tokens[:n]
    def reset_input_dataset(self): pass

def measure(sae, special):
    config = get_eval_everything_config(len(tokens), 1, 1)
    return run_evals(sae, Store(), model, ActivationScaler(), config, exclude_special_tokens=special)

for path in spec["saes"]:
    sae = SAE.load_from_disk(path)
    print(json.dumps([measure(sae, False), measure(sae, [0])]).replace("NaN", "-1"))
`;

type Metrics = Readonly<Record<string, Readonly<Record<string, number>>>>;
type Latents = Readonly<Record<string, readonly number[]>>;

python.test(
  "every figure is the one of SAELens's run_evals, for every architecture and hooks of each kind",
  async (run) => {
    const model = placeModel(host);
    await saveModel(at("model"), host);
    const hooks = ["hook_resid_post", "hook_mlp_out", "mlp.hook_post", "attn.hook_z"];
    const saes = architectureNames.map((architecture, i): Sae => {
      const hook = `blocks.1.${hooks[i % hooks.length]}`;
      const x = activationsAt(model, ids, nSeq, hook);
      const values = x.dataSync() as Float32Array;
      x.dispose();
      saveSae(at(architecture), fittedSae(architecture, hook, values, ids.length));
      return loadSae(at(architecture));
    });
    const folders = architectureNames.map((name) => at(name));
    writeFileSync(
      at("spec.json"),
      JSON.stringify({ model: at("model"), ids: [...ids], context, saes: folders }),
    );
    const lines = (await run(script, [at("spec.json")])).trim().split("\n");
    expect(lines).toHaveLength(saes.length);
    for (const [i, sae] of saes.entries()) {
      const [all, special] = JSON.parse(lines[i]) as [[Metrics, Latents], [Metrics, Latents]];
      for (const [skip, [metrics, latents]] of [all, special].entries()) {
        const counts = latentCounts(sae.cfg.d_sae, context - skip);
        const figures = await evaluateSae(
          sae,
          model,
          { ids, nSeq, context },
          { firstTokensExcluded: skip, onCodes: (_, codes, leftOut) => counts.add(codes, leftOut) },
        );
        const source = { sae: "x", dataset: "y", contextSize: context, batchSequences: 32 };
        const ours = await coreDocument(sae, figures, counts, { ...source, time: 0, version: "0" });
        for (const [group, wanted] of Object.entries(metrics)) {
          // without special tokens SAELens still counts them among its tokens, and its ablation takes them out
          const isOther = ["token_stats", "model_behavior_preservation"].includes(group);
          if (skip > 0 && (isOther || group === "model_performance_preservation")) continue;
          for (const [name, value] of Object.entries(wanted)) {
            const got = ours.eval_result_metrics[group][name];
            const what = `${sae.cfg.architecture}, skip ${skip}: ${name} ${got}, SAELens ${value}`;
            expect(Math.abs(got - value) / (1e-2 + Math.abs(value)), what).toBeLessThan(1e-4);
          }
        }
        for (const [name, values] of Object.entries(latents)) {
          const got = ours.eval_result_details.map((latent) =>
            // SAELens has a gate's bias under this name, SAEBench the magnitudes'
            name === "encoder_bias" ? sae.b_enc[latent.index] : latent[name as "encoder_norm"],
          );
          expect(got, `${sae.cfg.architecture} ${name}`).toBeAllclose([...values], {
            rtol: 1e-5,
            atol: 1e-5,
          });
        }
      }
    }
    model.dispose();
    expect(tf.memory().numTensors).toBe(0);
  },
);

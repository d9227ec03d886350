// Every family against Hugging Face transformers: checkpoints of ours loaded there and theirs read here, with the same
// logits; the same gradients of the loss as PyTorch's.
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { beforeAll, describe, expect } from "vitest";
import { createRng, crossEntropy, tf, useBackend } from "../../src/engine/index.ts";
import { readSafetensors } from "../../src/io/index.ts";
import { balanceLoss, routerHooks } from "../../src/models/balance-loss.ts";
import {
  forwardHidden,
  forwardLogits,
  type HostModel,
  loadModel,
  modelSizes,
  placeModel,
  saveModel,
  shift,
  unembedding,
} from "../../src/models/index.ts";
import { testBackend } from "../support/backend.ts";
import { temporaryFolder } from "../support/folder.ts";
import { python } from "../support/python.ts";
import { roughConfigs, roughModel, roughVocabulary } from "../support/rough-models.ts";

const at = temporaryFolder();
const names = Object.keys(roughConfigs);
const batch = 3;
const length = 19;
const ids = tokens();

beforeAll(async () => {
  await useBackend(testBackend);
});

function tokens(): Int32Array {
  const rng = createRng("tokens");
  return Int32Array.from({ length: batch * length }, () => rng.int(roughVocabulary));
}

function writeIds(): string {
  const rows = Array.from({ length: batch }, (_, b) => [
    ...ids.subarray(b * length, (b + 1) * length),
  ]);
  writeFileSync(at("ids.json"), JSON.stringify(rows));
  return at("ids.json");
}

async function ourLogits(host: HostModel): Promise<Float32Array> {
  const model = placeModel(host);
  const logits = tf.tidy(() => forwardLogits(model, ids, batch));
  const values = (await logits.data()).slice() as Float32Array;
  tf.dispose(logits);
  model.dispose();
  return values;
}

async function ourBalance(host: HostModel): Promise<number> {
  const model = placeModel(host);
  const loss = tf.tidy(() => {
    const found: tf.Tensor2D[] = [];
    forwardHidden(model, ids, batch, { hooks: routerHooks(host.config, found) });
    return balanceLoss(found, modelSizes(host.config).experts?.perToken as number);
  });
  const [value] = await loss.data();
  loss.dispose();
  model.dispose();
  return value;
}

const readOurs = `
import sys, json, torch
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM
root, names, ids = sys.argv[1], json.loads(sys.argv[2]), torch.tensor(json.load(open(sys.argv[3])))
for name in names:
    folder = f"{root}/{name}"
    model, info = AutoModelForCausalLM.from_pretrained(folder, output_loading_info=True, dtype=torch.float32)
    assert not info["missing_keys"] and not info["unexpected_keys"] and not info["mismatched_keys"], (name, info)
    model = model.eval()
    routed = model.config.model_type == "mixtral"
    if routed: # its fast products take widths of 16 bytes only
        model.set_experts_implementation("eager")
    out = model(ids, labels=ids, **({"output_router_logits": True} if routed else {}))
    loss = out.loss
    saved = {}
    if routed:
        saved["balance"] = out.aux_loss.detach().reshape(1)
        loss = loss - model.config.router_aux_loss_coef * out.aux_loss
    loss.backward()
    saved.update({"logits": out.logits.detach().contiguous(), "loss": loss.detach().reshape(1)})
    for key, p in model.named_parameters():
        if ".mlp.experts." in key: # one tensor in memory, one for each expert in the file
            at = "grad/" + key.split("mlp.experts.")[0] + "block_sparse_moe.experts."
            for e, grad in enumerate(p.grad):
                if key.endswith("down_proj"):
                    saved[f"{at}{e}.w2.weight"] = grad.contiguous()
                else:
                    gate, up = grad.chunk(2)
                    saved[f"{at}{e}.w1.weight"], saved[f"{at}{e}.w3.weight"] = gate.contiguous(), up.contiguous()
        else:
            saved["grad/" + key.replace("mlp.gate.", "block_sparse_moe.gate.")] = p.grad.contiguous()
    save_file(saved, f"{folder}/theirs.safetensors")
`;

describe("a checkpoint of ours, loaded by transformers", () => {
  python.test(
    "gives the same logits within 1e-4 and the same gradients of the loss, in every family",
    async (run) => {
      const folders = names.map((_, i) => String(i));
      names.forEach((name, i) => {
        saveModel(at(folders[i]), roughModel(roughConfigs[name], name));
      });
      await run(readOurs, [at(), JSON.stringify(folders), writeIds()]);
      for (const [i, name] of names.entries()) {
        const theirs = readTheirs(at(folders[i], "theirs.safetensors"));
        const host = loadModel(at(folders[i]));
        const logits = await ourLogits(host);
        expect(largestDifference(logits, theirs.get("logits")!), name).toBeLessThan(1e-4);
        const balance = theirs.get("balance");
        expect(balance !== undefined, name).toBe(host.config.model_type === "mixtral");
        if (balance) expect(await ourBalance(host), name).toBeCloseTo(balance[0], 5);
        const { loss, grads } = await gradients(host);
        expect(Math.abs(loss - theirs.get("loss")![0]), name).toBeLessThan(1e-5);
        for (const [parameter, grad] of grads) {
          const key = theirs.has(`grad/${parameter}`)
            ? `grad/${parameter}`
            : `grad/${parameter.replace("embed_out", "lm_head")}`;
          const wanted = theirs.get(key)!;
          const scale = Math.max(...wanted.map(Math.abs));
          const difference = largestDifference(grad, wanted);
          expect(difference / scale, `${name}: ${parameter}`).toBeLessThan(2e-4);
        }
      }
    },
  );

  python.test("also in shards and in half precision, to what the rounding allows", async (run) => {
    const name = "llama";
    const model = roughModel(roughConfigs[name], name);
    saveModel(at("shards"), model, { maxShardBytes: 9000 });
    expect(
      readdirSync(at("shards")).filter((file) => file.startsWith("model-")).length,
    ).toBeGreaterThan(3);
    saveModel(at("bf16"), model, { dtype: "BF16", maxShardBytes: 9000 });
    saveModel(at("f16"), model, { dtype: "F16" });
    await run(readOurs, [at(), JSON.stringify(["shards", "bf16", "f16"]), writeIds()]);
    const exact = await ourLogits(model);
    const bounds = { shards: 1e-4, bf16: 0.3, f16: 0.04 };
    for (const [folder, bound] of Object.entries(bounds)) {
      const theirs = readTheirs(at(folder, "theirs.safetensors")).get("logits")!;
      expect(largestDifference(await ourLogits(loadModel(at(folder))), theirs)).toBeLessThan(1e-4);
      expect(largestDifference(exact, theirs)).toBeLessThan(bound);
      if (folder !== "shards") expect(largestDifference(exact, theirs)).toBeGreaterThan(1e-4);
    }
    expect(JSON.parse(readFileSync(at("bf16", "config.json"), "utf8")).torch_dtype).toBe(
      "bfloat16",
    );
  });
});

const writeTheirs = `
import sys, json, torch
from safetensors.torch import save_file
from transformers import AutoConfig, AutoModelForCausalLM
root, ids = sys.argv[1], torch.tensor(json.load(open(sys.argv[2])))
common = dict(vocab_size=61, hidden_size=36, num_hidden_layers=2, num_attention_heads=4, intermediate_size=44,
              max_position_embeddings=24, initializer_range=0.3, bos_token_id=1, eos_token_id=2)
grouped = dict(common, num_key_value_heads=2, head_dim=8)
rope3 = {"rope_type": "llama3", "rope_theta": 700.0, "factor": 4.0, "low_freq_factor": 1.0,
         "high_freq_factor": 4.0, "original_max_position_embeddings": 12}
cases = {
    "neox": ("gpt_neox", dict(common, rope_parameters={"rope_type": "default", "rope_theta": 400.0, "partial_rotary_factor": 0.5})),
    "neox-tied": ("gpt_neox", dict(common, tie_word_embeddings=True)),
    "llama": ("llama", dict(grouped, eos_token_id=[2, 5])),
    "llama-tied": ("llama", dict(grouped, tie_word_embeddings=True, rope_parameters=rope3)),
    "mistral": ("mistral", dict(grouped, sliding_window=24)),
    "qwen2": ("qwen2", dict(common, num_attention_heads=6, num_key_value_heads=3)),
    "qwen3": ("qwen3", dict(grouped, head_dim=12)),
    "mixtral": ("mixtral", dict(grouped, num_local_experts=3, num_experts_per_tok=2)),
    "sharded": ("llama", grouped),
    "bf16": ("gpt_neox", common),
}
for name, (kind, settings) in cases.items():
    torch.manual_seed(0)
    config = AutoConfig.for_model(kind, **settings)
    model = AutoModelForCausalLM.from_config(config).eval()
    with torch.no_grad():
        for key, p in model.named_parameters():
            if p.dim() == 1:
                p.add_(torch.randn_like(p) * 0.2)
    if name == "bf16":
        model = model.to(torch.bfloat16)
    model.save_pretrained(f"{root}/{name}", max_shard_size="12KB" if name == "sharded" else "5GB")
    with torch.no_grad():
        logits = model.float()(ids).logits
    save_file({"logits": logits.contiguous()}, f"{root}/{name}.safetensors")
print(json.dumps(list(cases)))
`;

python.test(
  "checkpoints that transformers saved are read and give the same logits within 1e-4, in every family",
  async (run) => {
    mkdirSync(at("theirs"));
    const cases = JSON.parse(await run(writeTheirs, [at("theirs"), writeIds()])) as string[];
    for (const name of cases) {
      const host = loadModel(at("theirs", name));
      const theirs = readTheirs(at("theirs", `${name}.safetensors`)).get("logits")!;
      expect(largestDifference(await ourLogits(host), theirs), name).toBeLessThan(1e-4);
      expect(modelSizes(host.config).dModel).toBe(36);
    }
    expect(readdirSync(at("theirs", "sharded"))).toContain("model.safetensors.index.json");
  },
);

async function gradients(
  host: HostModel,
): Promise<{ loss: number; grads: Map<string, Float32Array> }> {
  const placed = placeModel(host);
  const parameters = [...placed.params.keys()];
  const { inputs, targets } = shift(ids, length);
  const { value, grads } = tf.valueAndGrads((...tensors: tf.Tensor[]) => {
    const params = new Map(parameters.map((name, i) => [name, tensors[i]]));
    const model = { ...placed, params };
    return crossEntropy(forwardHidden(model, inputs, batch), unembedding(model), targets);
  })([...placed.params.values()]);
  const found = new Map<string, Float32Array>();
  for (const [i, grad] of grads.entries()) {
    found.set(parameters[i], (await grad.data()).slice() as Float32Array);
  }
  const [loss] = await value.data();
  tf.dispose([value, ...grads]);
  placed.dispose();
  return { loss, grads: found };
}

function readTheirs(path: string): Map<string, Float32Array> {
  const { tensors } = readSafetensors(path);
  return new Map([...tensors].map(([name, { data }]) => [name, data as Float32Array]));
}

function largestDifference(a: Float32Array, b: Float32Array): number {
  expect(a.length).toBe(b.length);
  return a.reduce((largest, x, i) => Math.max(largest, Math.abs(x - b[i])), 0);
}

// SAEs in the folders of sparsify and dictionary_learning: round trips bit for bit, refusals, and PyTorch as the judge.
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import {
  architectureNames,
  decode,
  encode,
  readSaeFolder,
  type Sae,
  type SaeArchitecture,
  type SaeFormat,
  saeFormats,
  saveSae,
} from "../../../sae/index.ts";
import { tf, useBackend } from "../../../src/engine/index.ts";
import {
  type HostTensor,
  readSafetensors,
  readTorchTensors,
  UsageError,
  writeSafetensors,
  writeTorchTensors,
} from "../../../src/io/index.ts";
import { testBackend } from "../../support/backend.ts";
import { python } from "../../support/python.ts";
import { randomSae as anySae, dense, draw } from "../support/random-sae.ts";

beforeAll(async () => {
  await useBackend(testBackend);
});

const folder = () => mkdtempSync(join(tmpdir(), "sae-carry-folders-"));

/** A random SAE in the form that dictionary_learning has of its architecture. */
function sharedSae(architecture: SaeArchitecture, d_in = 5, d_sae = 12): Sae {
  const sae = anySae({ architecture, d_in, d_sae, k: 3 }, "folders");
  const isShared = architecture.endsWith("batchtopk");
  const cfg = {
    ...sae.cfg,
    apply_b_dec_to_input: architecture !== "jumprelu",
    hook_name: "blocks.2.attn.hook_z",
    model_name: "gpt2",
    context_size: 16,
    first_tokens_excluded: 3,
  };
  return { ...sae, cfg, threshold: isShared ? sae.threshold!.fill(0.3) : sae.threshold };
}

const cases: readonly [SaeFormat, SaeArchitecture][] = [
  ["sparsify", "topk"],
  ...architectureNames.map((name): [SaeFormat, SaeArchitecture] => ["dictionary_learning", name]),
];

test.each(cases)(
  "%s: a %s SAE comes back bit for bit, and makes the same bytes again",
  (format, architecture) => {
    const [dir, again, ours] = [folder(), folder(), folder()];
    const sae = sharedSae(architecture);
    const { files, save } = saeFormats[format];
    save(dir, sae);
    const found = readSaeFolder(dir);
    expect(found).toEqual({ format, sae });
    saveSae(ours, found.sae);
    save(again, readSaeFolder(ours).sae);
    for (const file of files) {
      expect(readFileSync(join(again, file))).toEqual(readFileSync(join(dir, file)));
    }
  },
);

test("a ReLU SAE that reads x itself is an AutoEncoderNew", () => {
  const dir = folder();
  const sae = sharedSae("standard");
  const plain = { ...sae, cfg: { ...sae.cfg, apply_b_dec_to_input: false } };
  saeFormats.dictionary_learning.save(dir, plain);
  expect(readSaeFolder(dir).sae).toEqual(plain);
  expect(json(join(dir, "config.json"))).toMatchObject({
    trainer: { dict_class: "AutoEncoderNew" },
  });
});

function json(path: string): Record<string, Record<string, unknown>> {
  return JSON.parse(readFileSync(path, "utf8"));
}

/** Sets (or, with undefined, removes) fields of a JSON file's object, or of one in it. */
function edit(path: string, change: Readonly<Record<string, unknown>>, under?: string): void {
  const value = json(path);
  Object.assign(under === undefined ? value : value[under], change);
  writeFileSync(path, JSON.stringify(value));
}

python.test(
  "the formulas of sparsify and dictionary_learning give our latents and reconstructions",
  async (run) => {
    const [n, d, f] = [40, 7, 24];
    const x = draw("rows", n * d);
    const saes = cases.map(([format, architecture]) => {
      const dir = folder();
      const sae = sharedSae(architecture, d, f);
      saeFormats[format].save(dir, sae);
      return { dir, sae };
    });
    const script = `
import json, os, sys, torch
from safetensors.torch import load_file
x = torch.tensor(json.loads(sys.argv[1])).reshape(-1, 7)
relu, out = torch.relu, []
def topk(p, k):
    v, i = relu(p).topk(k, sorted=False, dim=-1)
    return torch.zeros_like(p).scatter_(-1, i, v)
for folder in sys.argv[2:]:
    if os.path.exists(folder + "/sae.safetensors"):
        s, k = load_file(folder + "/sae.safetensors"), json.load(open(folder + "/cfg.json"))["k"]
        f = topk((x - s["b_dec"]) @ s["encoder.weight"].T + s["encoder.bias"], k)
        y = f @ s["W_dec"] + s["b_dec"]
    else:
        s = torch.load(folder + "/ae.pt", weights_only=True)
        c = json.load(open(folder + "/config.json"))["trainer"]["dict_class"]
        if c == "AutoEncoder":
            f = relu((x - s["bias"]) @ s["encoder.weight"].T + s["encoder.bias"])
            y = f @ s["decoder.weight"].T + s["bias"]
        elif c == "GatedAutoEncoder":
            p = (x - s["decoder_bias"]) @ s["encoder.weight"].T
            f = (p + s["gate_bias"] > 0) * relu(s["r_mag"].exp() * p + s["mag_bias"])
            y = f @ s["decoder.weight"].T + s["decoder_bias"]
        elif c == "JumpReluAutoEncoder":
            p = x @ s["W_enc"] + s["b_enc"]
            f = relu(p * (p > s["threshold"]))
            y = f @ s["W_dec"] + s["b_dec"]
        elif c == "MatryoshkaBatchTopKSAE":
            p = relu((x - s["b_dec"]) @ s["W_enc"] + s["b_enc"])
            f = p * (p > s["threshold"])
            y = f @ s["W_dec"] + s["b_dec"]
            assert s["group_sizes"].tolist() == [12, 12] and s["group_sizes"].dtype == torch.int64
        else:
            p = (x - s["b_dec"]) @ s["encoder.weight"].T + s["encoder.bias"]
            f = topk(p, s["k"].item()) if c == "AutoEncoderTopK" else relu(p) * (relu(p) > s["threshold"])
            y = f @ s["decoder.weight"].T + s["b_dec"]
            assert s["k"].dtype == torch.int32 and (c != "AutoEncoderTopK" or s["threshold"].item() == -1)
    out.append({"f": f.flatten().tolist(), "y": y.flatten().tolist()})
print(json.dumps(out))`;
    const got = JSON.parse(
      await run(script, [JSON.stringify([...x]), ...saes.map(({ dir }) => dir)]),
    );
    for (const [i, { dir, sae }] of saes.entries()) {
      const tensor = tf.tensor2d(x, [n, d]);
      const codes = encode(readSaeFolder(dir).sae, tensor);
      tensor.dispose();
      expect(codes.latent.length).toBeGreaterThan(n);
      expect(dense(codes)).toBeAllclose(got[i].f, { rtol: 1e-5, atol: 1e-5 });
      expect(decode(sae, codes)).toBeAllclose(got[i].y, { rtol: 1e-5, atol: 1e-5 });
    }
  },
);

describe("sparsify", () => {
  const stored = (name = "layers.5") => {
    const dir = join(folder(), name);
    saeFormats.sparsify.save(dir, sharedSae("topk"));
    return dir;
  };

  test.each([
    ["layers.5", "blocks.5.hook_resid_post"],
    ["transformer.h.11", "blocks.11.hook_resid_post"],
    ["h.3.mlp", "blocks.3.hook_mlp_out"],
    ["layers.0.self_attn", "blocks.0.hook_attn_out"],
    ["h.3.mlp.act", "blocks.3.mlp.hook_post"],
    ["layers.5/seed1", "blocks.5.hook_resid_post"],
    ["embed_in", "hook_embed"],
    ["layers.3.mlp.act_fn", "unknown"],
    ["my-sae", "unknown"],
  ])("its folder %s means %s", (name, hook) => {
    const dir = stored(name);
    edit(join(dir, "cfg.json"), { sae_carry: undefined });
    expect(readSaeFolder(dir).sae.cfg).toMatchObject({ hook_name: hook, model_name: "unknown" });
    expect(readSaeFolder(dir, { hook: "hook_embed" }).sae.cfg.hook_name).toBe("hook_embed");
  });

  test("its older files, without an activation and with a factor for a number of latents", () => {
    const dir = stored();
    saeFormats.sparsify.save(dir, sharedSae("topk", 5, 20));
    const old = { activation: undefined, signed: false, num_latents: 0, expansion_factor: 4 };
    edit(join(dir, "cfg.json"), old);
    expect(readSaeFolder(dir).sae).toEqual(sharedSae("topk", 5, 20));
  });

  test.each<[Record<string, unknown>, RegExp]>([
    [{ activation: "groupmax" }, /cfg\.json: activation.*groupmax/],
    [{ transcode: true }, /hook_name_out for a transcoder/],
    [{ skip_connection: true }, /cfg\.json: skip_connection/],
    [{ signed: true }, /cfg\.json: signed/],
    [{ k: 13 }, /k: expected a number in \(0, d_sae = 12\]/],
    [{ d_in: 6 }, /encoder\.weight: expected float32 \[12, 6\]/],
    [{ sae_carry: { format_version: 2 } }, /format_version/],
  ])("%o is refused by name", (change, message) => {
    const dir = stored();
    edit(join(dir, "cfg.json"), change);
    expect(() => readSaeFolder(dir)).toThrow(UsageError);
    expect(() => readSaeFolder(dir)).toThrow(message);
  });

  test("a skip connection's tensor is refused even where cfg.json says nothing of it", () => {
    const dir = stored();
    const path = join(dir, "sae.safetensors");
    const { tensors } = readSafetensors(path);
    tensors.set("W_skip", { shape: [5, 5], data: new Float32Array(25) });
    writeSafetensors(path, tensors);
    expect(() => readSaeFolder(dir)).toThrow(/also W_skip/);
  });

  test("what it has no form for is refused, and nothing is written", () => {
    const dir = join(folder(), "none");
    expect(() => saeFormats.sparsify.save(dir, sharedSae("batchtopk"))).toThrow(
      /architecture.*topk/,
    );
    const sae = sharedSae("topk");
    const plain = { ...sae, cfg: { ...sae.cfg, apply_b_dec_to_input: false } };
    expect(() => saeFormats.sparsify.save(dir, plain)).toThrow(/apply_b_dec_to_input/);
    expect(() => readSaeFolder(dir)).toThrow(/no such folder/);
  });
});

describe("dictionary_learning", () => {
  const stored = (architecture: SaeArchitecture) => {
    const dir = folder();
    saeFormats.dictionary_learning.save(dir, sharedSae(architecture));
    return dir;
  };
  const change = (dir: string, name: string, tensor: HostTensor | null) => {
    const tensors = readTorchTensors(join(dir, "ae.pt"));
    if (tensor) tensors.set(name, tensor);
    else tensors.delete(name);
    writeTorchTensors(join(dir, "ae.pt"), tensors);
  };

  test("its config.json tells the hook of its demo, the model and, without widths, nothing else", () => {
    const dir = stored("batchtopk");
    const path = join(dir, "config.json");
    edit(path, { sae_carry: undefined });
    expect(readSaeFolder(dir).sae.cfg.hook_name).toBe("unknown");
    const theirs = {
      submodule_name: "resid_post_layer_3",
      layer: 3,
      lm_name: "EleutherAI/pythia-70m",
    };
    edit(path, { ...theirs, activation_dim: undefined, dict_size: undefined }, "trainer");
    expect(readSaeFolder(dir).sae.cfg).toMatchObject({
      hook_name: "blocks.3.hook_resid_post",
      model_name: "EleutherAI/pythia-70m",
      d_in: 5,
      d_sae: 12,
      first_tokens_excluded: 1,
    });
  });

  const scalar = (value: number): HostTensor => ({ shape: [], data: Float32Array.of(value) });
  test.each<[string, SaeArchitecture, string, HostTensor | null, RegExp]>([
    [
      "a threshold that was never set",
      "batchtopk",
      "threshold",
      scalar(-1),
      /training never set it.*mean over batches.*AutoEncoderTopK/,
    ],
    ["no threshold", "batchtopk", "threshold", null, /threshold: expected a tensor, got none/],
    [
      "a threshold a latent",
      "batchtopk",
      "threshold",
      { shape: [1], data: Float32Array.of(1) },
      /one number, got \[1\]/,
    ],
    ["another k than config.json's", "topk", "k", scalar(4), /config\.json: trainer: k/],
    [
      "groups that end elsewhere",
      "matryoshka_batchtopk",
      "group_sizes",
      { shape: [2], data: BigInt64Array.of(6n, 5n) },
      /ascending widths that end at d_sae = 12/,
    ],
    [
      "a group of no latents",
      "matryoshka_batchtopk",
      "group_sizes",
      { shape: [2], data: BigInt64Array.of(12n, 0n) },
      /ascending widths/,
    ],
    ["an unknown tensor", "gated", "threshold", scalar(0), /also threshold/],
    [
      "a decoder in SAELens's layout",
      "standard",
      "decoder.weight",
      { shape: [12, 5], data: new Float32Array(60) },
      /decoder\.weight: expected float32 \[5, 12\]/,
    ],
    [
      "whole numbers for weights",
      "jumprelu",
      "b_enc",
      { shape: [12], data: new Int32Array(12) },
      /b_enc.*Int32Array/,
    ],
    [
      "a NaN",
      "jumprelu",
      "b_enc",
      { shape: [12], data: new Float32Array(12).fill(Number.NaN) },
      /NaN/,
    ],
  ])("%s is a UsageError", (_, architecture, name, tensor, message) => {
    const dir = stored(architecture);
    change(dir, name, tensor);
    expect(() => readSaeFolder(dir)).toThrow(UsageError);
    expect(() => readSaeFolder(dir)).toThrow(message);
  });

  test("a class that isn't known, and a config.json without one", () => {
    const dir = stored("topk");
    edit(join(dir, "config.json"), { dict_class: "CrossCoder" }, "trainer");
    expect(() => readSaeFolder(dir)).toThrow(/dict_class.*AutoEncoderTopK.*CrossCoder/);
    writeFileSync(join(dir, "config.json"), "{}");
    expect(() => readSaeFolder(dir)).toThrow(/config\.json: trainer/);
  });

  test.each<[string, Sae, RegExp]>([
    [
      "thresholds that differ",
      anySae({ architecture: "batchtopk", d_in: 5, d_sae: 12, k: 3 }),
      /one threshold/,
    ],
    [
      "a threshold below zero",
      { ...sharedSae("batchtopk"), threshold: new Float32Array(12).fill(-0.5) },
      /one threshold from 0/,
    ],
    [
      "JumpReLU on x − b_dec",
      {
        ...sharedSae("jumprelu"),
        cfg: { ...sharedSae("jumprelu").cfg, apply_b_dec_to_input: true },
      },
      /false, as JumpReluAutoEncoder has it/,
    ],
    [
      "half a latent a token",
      { ...sharedSae("batchtopk"), cfg: { ...sharedSae("batchtopk").cfg, k: 2.5 } },
      /a whole number/,
    ],
  ])("%s can't be stored exactly and is refused", (_, sae, message) => {
    expect(() => saeFormats.dictionary_learning.save(folder(), sae)).toThrow(message);
  });
});

test("a folder with the files of two libraries, or of none, is refused", () => {
  const dir = folder();
  expect(() => readSaeFolder(dir)).toThrow(
    /sae_weights\.safetensors.*sae\.safetensors.*ae\.pt.*none of these/,
  );
  saveSae(dir, sharedSae("topk"));
  saeFormats.dictionary_learning.save(dir, sharedSae("topk"));
  expect(() => readSaeFolder(dir)).toThrow(/saelens and dictionary_learning/);
  expect(readSaeFolder(dir, { from: "dictionary_learning" }).sae).toEqual(sharedSae("topk"));
});

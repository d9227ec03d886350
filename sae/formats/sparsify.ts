/**
 * @file SAEs of EleutherAI's sparsify: cfg.json and sae.safetensors in a folder named for the module of the Hugging
 * Face model whose output they read (`layers.5`, perhaps with `seed0` under it). sparsify 1.3, SparseCoder: TopK of
 * relu(W (x − b_dec) + b), decoder rows as in SAELens. Its transcoders, skip connections and groupmax are refused.
 * Numbers are stored as they are, both ways; decoder norms may be any, for sparsify normalises only while it trains.
 */
import { mkdirSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import {
  type HostTensor,
  readJson,
  writeJsonAtomic,
  writeSafetensors,
} from "../../src/io/index.ts";
import { rowNorms } from "../kernels/row-norms.ts";
import { type Sae, saeConfig, validateSae } from "../sae.ts";
import { Fields } from "./fields.ts";
import { refuse } from "./inexact.ts";
import { ownFields, readOwnFields, unknownHook } from "./own-fields.ts";
import { StoredTensors } from "./stored-tensors.ts";
import { transposed } from "./transposed.ts";

/** Reads the SAE in the folder `dir`; its hook is "unknown" where the folder's name doesn't tell. Errors: UsageError naming file and field. */
export function loadSparsifySae(dir: string): Sae {
  const cfgPath = join(dir, "cfg.json");
  const fields = new Fields(
    readJson(cfgPath),
    cfgPath,
    "Only sparsify's TopK SAEs are read here, not its transcoders or groupmax.",
  );
  if (fields.value("activation") !== undefined) fields.oneOf("activation", ["topk"]);
  for (const field of ["transcode", "skip_connection", "signed"]) {
    if (fields.value(field) !== undefined) fields.oneOf(field, [false]);
  }
  const d_in = fields.number("d_in");
  const d_sae =
    fields.optionalNumber("num_latents") ||
    d_in * (fields.optionalNumber("expansion_factor") ?? 32);
  const cfg = saeConfig({
    architecture: "topk",
    d_in,
    d_sae,
    k: fields.number("k"),
    hook_name: hookOfFolder(dir),
    ...readOwnFields(fields),
  });
  const tensors = new StoredTensors(join(dir, "sae.safetensors"));
  const sae: Sae = {
    cfg,
    W_enc: transposed(tensors.take("encoder.weight", [d_sae, d_in]), d_sae, d_in),
    b_enc: tensors.take("encoder.bias", [d_sae]),
    W_dec: tensors.take("W_dec", [d_sae, d_in]),
    b_dec: tensors.take("b_dec", [d_in]),
    threshold: null,
  };
  tensors.finish("a TopK SAE of sparsify");
  validateSae(sae, dir);
  return sae;
}

/** Writes a topk SAE into the folder `dir`; same SAE, same bytes. Errors: UsageError for what sparsify has no form for. */
export function saveSparsifySae(dir: string, sae: Sae): void {
  validateSae(sae, dir);
  const { cfg } = sae;
  const { architecture, d_in, d_sae, k } = cfg;
  if (architecture !== "topk") {
    refuse({
      where: `${dir}: architecture`,
      expected: "topk, the only one that sparsify has",
      got: architecture,
      hint: "saelens and dictionary_learning have forms for the others",
    });
  }
  if (!cfg.apply_b_dec_to_input) {
    refuse({
      where: `${dir}: apply_b_dec_to_input`,
      expected: "true, as sparsify always has it",
      got: "false",
      hint: "Moving b_dec into the encoder's bias would round every bias",
    });
  }
  mkdirSync(dir, { recursive: true });
  const tensors = new Map<string, HostTensor>([
    ["encoder.weight", { shape: [d_sae, d_in], data: transposed(sae.W_enc, d_in, d_sae) }],
    ["encoder.bias", { shape: [d_sae], data: sae.b_enc }],
    ["W_dec", { shape: [d_sae, d_in], data: sae.W_dec }],
    ["b_dec", { shape: [d_in], data: sae.b_dec }],
  ]);
  writeSafetensors(join(dir, "sae.safetensors"), tensors);
  writeJsonAtomic(join(dir, "cfg.json"), {
    activation: "topk",
    expansion_factor: Math.max(1, Math.round(d_sae / d_in)),
    normalize_decoder: rowNorms(sae.W_dec, d_in).every((norm) => Math.abs(norm - 1) <= 1e-5),
    num_latents: d_sae,
    k,
    multi_topk: false,
    skip_connection: false,
    transcode: false,
    d_in,
    sae_carry: ownFields(cfg),
  });
}

/** TransformerLens's name of what modules put out, by their names in GPT-2, GPT-NeoX, Llama and their kin. */
const outputs: readonly (readonly [RegExp, string])[] = [
  [/^(?:layers|h)\.(\d+)$/, "blocks.$1.hook_resid_post"],
  [/^(?:layers|h)\.(\d+)\.mlp$/, "blocks.$1.hook_mlp_out"],
  [/^(?:layers|h)\.(\d+)\.(?:attn|attention|self_attn)$/, "blocks.$1.hook_attn_out"],
  // mlp.act is the activation itself; gated MLPs name theirs act_fn, which is a factor of hook_post only
  [/^(?:layers|h)\.(\d+)\.mlp\.act$/, "blocks.$1.mlp.hook_post"],
  [/^(?:wte|embed_in|embed_tokens)$/, "hook_embed"],
];

function hookOfFolder(dir: string): string {
  const path = resolve(dir);
  const folder = /^seed\d+$/.test(basename(path)) ? basename(dirname(path)) : basename(path);
  const module = folder.replace(/^(?:transformer|gpt_neox|model)\./, "");
  const found = outputs.find(([pattern]) => pattern.test(module));
  return found ? module.replace(found[0], found[1]) : unknownHook;
}

/**
 * @file SAEs of EleutherAI's sparsify: cfg.json and sae.safetensors in a folder named for the module of the Hugging
 * Face model whose output they read (`layers.5`, perhaps with `seed0` under it). sparsify 1.3, SparseCoder: TopK of
 * relu(W (x − b_dec) + b), decoder rows as in SAELens; groupmax is refused. A transcoder there reads what goes into a
 * module and reconstructs what comes out of it, both of one width, by relu(W x + b), with W_skip x where it has a skip
 * connection.
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
import { transposed } from "../kernels/transpose.ts";
import { type Sae, type SaeConfig, saeConfig, saeKind, validateSae } from "../sae.ts";
import { Fields } from "./fields.ts";
import { refuse, refuseNorm } from "./inexact.ts";
import { ownFields, readOwnFields, unknownHook } from "./own-fields.ts";
import { StoredTensors } from "./stored-tensors.ts";

/** Reads the SAE in the folder `dir`; its hook is "unknown" where the folder's name doesn't tell. Errors: UsageError naming file and field. */
export function loadSparsifySae(dir: string): Sae {
  const cfgPath = join(dir, "cfg.json");
  const fields = new Fields(
    readJson(cfgPath),
    cfgPath,
    "Only sparsify's TopK SAEs and transcoders are read here, not its groupmax.",
  );
  if (fields.value("activation") !== undefined) fields.oneOf("activation", ["topk"]);
  if (fields.value("signed") !== undefined) fields.oneOf("signed", [false]);
  const flag = (field: string): boolean =>
    fields.value(field) === undefined ? false : fields.oneOf(field, [true, false]);
  const isTranscoder = flag("transcode");
  const skip_connection = flag("skip_connection");
  if (skip_connection && !isTranscoder) {
    fields.fail("skip_connection", "false for an SAE, which it would make the identity", true);
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
    ...(isTranscoder ? hooksOfModule(dir) : { hook_name: hookOfFolder(dir) }),
    skip_connection,
    ...readOwnFields(fields),
  });
  if (isTranscoder && cfg.hook_name_out === null) {
    fields.fail("sae_carry", "a hook_name_out for a transcoder", null);
  }
  const tensors = new StoredTensors(join(dir, "sae.safetensors"));
  const sae: Sae = {
    cfg,
    W_enc: transposed(tensors.take("encoder.weight", [d_sae, d_in]), d_sae, d_in),
    b_enc: tensors.take("encoder.bias", [d_sae]),
    W_dec: tensors.take("W_dec", [d_sae, d_in]),
    b_dec: tensors.take("b_dec", [d_in]),
    ...(skip_connection && { W_skip: tensors.take("W_skip", [d_in, d_in]) }),
    threshold: null,
  };
  tensors.finish(`a TopK ${saeKind(cfg)} of sparsify`);
  validateSae(sae, dir);
  return sae;
}

/** Writes a topk SAE into the folder `dir`; same SAE, same bytes. Errors: UsageError for what sparsify has no form for. */
export function saveSparsifySae(dir: string, sae: Sae): void {
  validateSae(sae, dir);
  const { cfg } = sae;
  const { architecture, d_in, d_out, d_sae, k, skip_connection } = cfg;
  const isTranscoder = cfg.hook_name_out !== null;
  refuseNorm(dir, "sparsify", cfg);
  if (architecture !== "topk") {
    refuse({
      where: `${dir}: architecture`,
      expected: "topk, the only one that sparsify has",
      got: architecture,
      hint: "saelens and dictionary_learning have forms for the others",
    });
  }
  if (d_out !== d_in) {
    refuse({
      where: `${dir}: d_out`,
      expected: `d_in = ${d_in}, as sparsify's transcoders have it`,
      got: String(d_out),
      hint: "saelens stores transcoders between any widths",
    });
  }
  if (!isTranscoder && !cfg.apply_b_dec_to_input) {
    refuse({
      where: `${dir}: apply_b_dec_to_input`,
      expected: "true, as sparsify always has it",
      got: "false",
      hint: "Moving b_dec into the encoder's bias would round every bias",
    });
  }
  mkdirSync(dir, { recursive: true });
  const W_skip: [string, HostTensor][] = sae.W_skip
    ? [["W_skip", { shape: [d_in, d_in], data: sae.W_skip }]]
    : [];
  const tensors = new Map<string, HostTensor>([
    ["encoder.weight", { shape: [d_sae, d_in], data: transposed(sae.W_enc, d_in, d_sae) }],
    ["encoder.bias", { shape: [d_sae], data: sae.b_enc }],
    ["W_dec", { shape: [d_sae, d_in], data: sae.W_dec }],
    ["b_dec", { shape: [d_in], data: sae.b_dec }],
    ...W_skip,
  ]);
  writeSafetensors(join(dir, "sae.safetensors"), tensors);
  writeJsonAtomic(join(dir, "cfg.json"), {
    activation: "topk",
    expansion_factor: Math.max(1, Math.round(d_sae / d_in)),
    normalize_decoder: rowNorms(sae.W_dec, d_in).every((norm) => Math.abs(norm - 1) <= 1e-5),
    num_latents: d_sae,
    k,
    multi_topk: false,
    skip_connection,
    transcode: isTranscoder,
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

function moduleOfFolder(dir: string): string {
  const path = resolve(dir);
  const folder = /^seed\d+$/.test(basename(path)) ? basename(dirname(path)) : basename(path);
  return folder.replace(/^(?:transformer|gpt_neox|model)\./, "");
}

/** What a transcoder of a module reads and reconstructs; only an MLP's input and output have names here. */
function hooksOfModule(dir: string): Pick<SaeConfig, "hook_name" | "hook_name_out"> {
  const layer = /^(?:layers|h)\.(\d+)\.mlp$/.exec(moduleOfFolder(dir))?.[1];
  if (layer === undefined) return { hook_name: unknownHook, hook_name_out: unknownHook };
  return {
    hook_name: `blocks.${layer}.mlp.hook_in`,
    hook_name_out: `blocks.${layer}.hook_mlp_out`,
  };
}

function hookOfFolder(dir: string): string {
  const module = moduleOfFolder(dir);
  const found = outputs.find(([pattern]) => pattern.test(module));
  return found ? module.replace(found[0], found[1]) : unknownHook;
}

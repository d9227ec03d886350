/**
 * @file SAEs of dictionary_learning: ae.pt (a state_dict, read without executing anything) and config.json, in which
 * trainer.dict_class names the class. Layouts of its dictionary.py and trainers at 60ec6bf; decoders of torch.nn.Linear
 * are [d_in, d_sae] there. BatchTopKSAE and MatryoshkaBatchTopKSAE have one threshold for all latents, −1 until their
 * training has set it. Numbers are stored as they are, both ways, and what would have to be rounded is refused.
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import {
  type HostTensor,
  readJson,
  readTorchTensors,
  UsageError,
  writeJsonAtomic,
  writeTorchTensors,
} from "../../src/io/index.ts";
import { transposed } from "../kernels/transpose.ts";
import { type Sae, saeConfig, saeKind, validateSae } from "../sae.ts";
import { type DictClass, type DictLayout, dictClasses, dictLayouts } from "./dict-layouts.ts";
import { Fields } from "./fields.ts";
import { refuse, refuseNorm } from "./inexact.ts";
import { ownFields, readOwnFields, unknownHook } from "./own-fields.ts";
import { StoredTensors } from "./stored-tensors.ts";

/** Reads the SAE in the folder `dir`; its hook is "unknown" where config.json doesn't tell. Errors: UsageError naming file and field. */
export function loadDictionary(dir: string): Sae {
  const cfgPath = join(dir, "config.json");
  const path = join(dir, "ae.pt");
  const fields = new Fields(
    readJson(cfgPath),
    cfgPath,
    `Read are ${dictClasses.join(", ")}; a run writes config.json beside ae.pt.`,
  );
  const trainer = fields.object("trainer");
  const dictClass = trainer.oneOf("dict_class", dictClasses);
  const layout = dictLayouts[dictClass];
  const buffer = fields.optionalObject("buffer");
  if (buffer?.value("io") === "in_and_out") {
    buffer.fail(
      "io",
      "in or out: its transcoders take their output's bias off their input",
      "in_and_out",
    );
  }
  const stored = readTorchTensors(path);
  const d_in = trainer.optionalNumber("activation_dim") ?? widths(stored, path, layout).d_in;
  const d_sae = trainer.optionalNumber("dict_size") ?? widths(stored, path, layout).d_sae;
  const tensors = new StoredTensors(path, stored);
  const k = layout.hasK ? takeScalar(tensors, path, "k") : null;
  if (layout.hasK && trainer.optionalNumber("k") !== undefined && trainer.number("k") !== k) {
    trainer.fail("k", `${k}, as in ae.pt`, trainer.value("k"));
  }
  const threshold = layout.hasK ? takeScalar(tensors, path, "threshold") : null;
  const sae: Sae = {
    cfg: saeConfig({
      architecture: layout.architecture,
      d_in,
      d_sae,
      k,
      matryoshka_widths: layout.hasGroups ? takeWidths(tensors, path) : null,
      apply_b_dec_to_input: layout.subtractsBias,
      hook_name: hookOf(trainer),
      model_name: trainer.optionalString("lm_name") ?? "unknown",
      ...readOwnFields(fields),
    }),
    W_enc: takeMatrix(tensors, layout.encoder, d_in, d_sae),
    b_enc: tensors.take(layout.encoderBias, [d_sae]),
    W_dec: takeMatrix(tensors, layout.decoder, d_sae, d_in),
    b_dec: tensors.take(layout.decoderBias, [d_in]),
    threshold: thresholds(layout, tensors, threshold, d_sae, path),
    ...(layout.architecture === "gated" && {
      gate: { r_mag: tensors.take("r_mag", [d_sae]), b_mag: tensors.take("mag_bias", [d_sae]) },
    }),
  };
  tensors.finish(`a ${dictClass}`);
  validateSae(sae, dir);
  return sae;
}

/** A matrix as [rows, cols], however it lies in the file. */
function takeMatrix(
  tensors: StoredTensors,
  { name, isTransposed }: DictLayout["encoder"],
  rows: number,
  cols: number,
): Float32Array {
  if (!isTransposed) return tensors.take(name, [rows, cols]);
  return transposed(tensors.take(name, [cols, rows]), cols, rows);
}

/** Widths by the encoder, for a config.json that has none. */
function widths(
  stored: ReadonlyMap<string, HostTensor>,
  path: string,
  { encoder }: DictLayout,
): { d_in: number; d_sae: number } {
  const shape = stored.get(encoder.name)?.shape;
  if (shape?.length !== 2) {
    throw new UsageError({
      code: "sae-tensor",
      where: `${path}: ${encoder.name}`,
      expected: "a matrix",
      got: shape ? `[${shape.join(", ")}]` : `only ${[...stored.keys()].join(", ")}`,
    });
  }
  const [d_in, d_sae] = encoder.isTransposed ? [shape[1], shape[0]] : shape;
  return { d_in, d_sae };
}

function takeScalar(tensors: StoredTensors, path: string, name: string): number {
  const { shape, data } = tensors.takeAny(name);
  if (shape.length > 0) {
    throw new UsageError({
      code: "sae-tensor",
      where: `${path}: ${name}`,
      expected: "one number",
      got: `[${shape.join(", ")}]`,
    });
  }
  return Number(data[0]);
}

/** Ends of the groups whose sizes are stored. */
function takeWidths(tensors: StoredTensors, path: string): number[] {
  const { shape, data } = tensors.takeAny("group_sizes");
  if (shape.length !== 1) {
    throw new UsageError({
      code: "sae-tensor",
      where: `${path}: group_sizes`,
      expected: "a list of sizes",
      got: `[${shape.join(", ")}]`,
    });
  }
  let end = 0;
  return Array.from(data as ArrayLike<number | bigint>, (size) => {
    end += Number(size);
    return end;
  });
}

function thresholds(
  { architecture }: DictLayout,
  tensors: StoredTensors,
  shared: number | null,
  d_sae: number,
  path: string,
): Float32Array | null {
  if (architecture === "jumprelu") return tensors.take("threshold", [d_sae]);
  if (architecture === "standard") return new Float32Array(d_sae);
  if (shared === null || architecture === "topk") return null;
  if (shared < 0) {
    throw new UsageError({
      code: "sae-threshold",
      where: `${path}: threshold`,
      expected: "a threshold from 0",
      got: `${shared}, which says that training never set it`,
      hint:
        "Train it past threshold_start_step, or set it to the mean over batches of the smallest activation that " +
        "BatchTopK lets through; with dict_class AutoEncoderTopK and without group_sizes it is a TopK SAE, which needs none",
    });
  }
  return new Float32Array(d_sae).fill(shared);
}

/** dictionary_learning names places freely; these are the names of its own demo. */
function hookOf(trainer: Fields): string {
  const name = trainer.value("submodule_name");
  const layer = typeof name === "string" ? /^resid_post_layer_(\d+)$/.exec(name)?.[1] : undefined;
  return layer === undefined ? unknownHook : `blocks.${layer}.hook_resid_post`;
}

/** Writes `sae` into the folder `dir`; same SAE, same bytes. Errors: UsageError for what dictionary_learning has no form for. */
export function saveDictionary(dir: string, sae: Sae): void {
  validateSae(sae, dir);
  const { cfg } = sae;
  const { d_in, d_sae, k } = cfg;
  refuseNorm(dir, "dictionary_learning", cfg);
  const dictClass = dictClassOf(dir, sae);
  const layout = dictLayouts[dictClass];
  const tensors = new Map<string, HostTensor>();
  const add = (name: string, shape: readonly number[], data: HostTensor["data"]): void => {
    tensors.set(name, { shape, data });
  };
  const addMatrix = (
    { name, isTransposed }: DictLayout["encoder"],
    matrix: Float32Array,
    rows: number,
    cols: number,
  ): void => {
    if (isTransposed) add(name, [cols, rows], transposed(matrix, rows, cols));
    else add(name, [rows, cols], matrix);
  };
  addMatrix(layout.encoder, sae.W_enc, d_in, d_sae);
  add(layout.encoderBias, [d_sae], sae.b_enc);
  addMatrix(layout.decoder, sae.W_dec, d_sae, d_in);
  add(layout.decoderBias, [d_in], sae.b_dec);
  if (sae.gate) {
    add("r_mag", [d_sae], sae.gate.r_mag);
    add("mag_bias", [d_sae], sae.gate.b_mag);
  }
  if (layout.architecture === "jumprelu" && sae.threshold) add("threshold", [d_sae], sae.threshold);
  if (layout.hasK) {
    add("k", [], Int32Array.of(k as number));
    add("threshold", [], Float32Array.of(sharedThreshold(dir, sae)));
  }
  if (cfg.matryoshka_widths) {
    const sizes = cfg.matryoshka_widths.map((end, i, ends) => BigInt(end - (ends[i - 1] ?? 0)));
    add("group_sizes", [sizes.length], BigInt64Array.from(sizes));
  }
  mkdirSync(dir, { recursive: true });
  writeTorchTensors(join(dir, "ae.pt"), tensors);
  const layer = /^blocks\.(\d+)\.hook_resid_post$/.exec(cfg.hook_name)?.[1];
  writeJsonAtomic(join(dir, "config.json"), {
    trainer: {
      dict_class: dictClass,
      activation_dim: d_in,
      dict_size: d_sae,
      ...(layout.hasK && { k }),
      layer: layer === undefined ? null : Number(layer),
      lm_name: cfg.model_name,
      submodule_name: layer === undefined ? null : `resid_post_layer_${layer}`,
    },
    sae_carry: ownFields(cfg),
  });
}

function dictClassOf(dir: string, { cfg }: Sae): DictClass {
  if (cfg.hook_name_out !== null) {
    refuse({
      where: `${dir}: hook_name_out`,
      expected:
        "an SAE: dictionary_learning trains on pairs (io: in_and_out) but has no form for what comes of it",
      got: `a ${saeKind(cfg)}`,
      hint: "saelens stores any transcoder, sparsify TopK ones",
    });
  }
  const { architecture, apply_b_dec_to_input: subtractsBias, k } = cfg;
  const forms = dictClasses.filter((name) => dictLayouts[name].architecture === architecture);
  const found = forms.find((name) => dictLayouts[name].subtractsBias === subtractsBias);
  if (found === undefined) {
    return refuse({
      where: `${dir}: apply_b_dec_to_input`,
      expected: `${!subtractsBias}, as ${forms.join(" and ")} has it`,
      got: String(subtractsBias),
      hint: "Moving b_dec into or out of the encoder's bias would round every bias; saelens stores it as it is",
    });
  }
  if (k !== null && !Number.isInteger(k)) {
    refuse({
      where: `${dir}: k`,
      expected: `a whole number, as ${found} has it`,
      got: String(k),
      hint: "saelens stores it as it is",
    });
  }
  return found;
}

/** The one threshold of an SAE; −1, which stands for none, for topk. */
function sharedThreshold(dir: string, { threshold }: Sae): number {
  if (threshold === null) return -1;
  const [first] = threshold;
  if (threshold.every((t) => t === first) && first >= 0) return first;
  const other = threshold.find((t) => t !== first) ?? first;
  return refuse({
    where: `${dir}: threshold`,
    expected: "one threshold from 0 for all latents, as dictionary_learning has it",
    got: `${first} and ${other}`,
    hint: "saelens stores a threshold for each latent",
  });
}

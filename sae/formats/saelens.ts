/**
 * @file SAEs on disk in SAELens's layout (version 6 and later): cfg.json and sae_weights.safetensors,
 * which `sae_lens.SAE.load_from_disk` reads as they are. Batchtopk SAEs, Matryoshka or not, are stored as the jumprelu
 * they are in inference; what SAELens has no field for lies under metadata.sae_carry. A missing
 * metadata.sae_lens_version would make SAELens rebuild the metadata in its old flat format.
 * Norms by row (normalize_activations) are kept as they are; expected_average_only_in, which SAELens folds when training
 * ends, is refused, for the factor is in none of these files.
 * Transcoders have names of their own there (saelens-names.ts), d_out, hook_name_out and perhaps W_skip.
 * The reader is strict: a tensor or a setting that it can't honour is a UsageError, since others
 * have loaded SAEs "successfully" with their threshold dropped.
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import {
  type HostTensor,
  readJson,
  writeJsonAtomic,
  writeSafetensors,
} from "../../src/io/index.ts";
import { architectureNames, architectures, type SaeArchitecture } from "../architectures.ts";
import { foldRescaling } from "../fold.ts";
import { runtimeNorms } from "../runtime-norm.ts";
import { type Sae, type SaeConfig, saeConfig, validateSae } from "../sae.ts";
import { Fields } from "./fields.ts";
import { leftOutFields, readLeftOut } from "./own-fields.ts";
import { type StoredKind, storedKind, storedName, storedNames } from "./saelens-names.ts";
import { StoredTensors } from "./stored-tensors.ts";

/** Version of the fields under metadata.sae_carry. */
const formatVersion = 1;

/** The oldest SAELens version that reads this layout. */
const saeLensVersion = "6.0.0";

/** What may be stored beside an SAE. */
export interface SaveSaeOptions {
  /** Plain JSON kept under metadata.sae_carry.provenance: where the SAE comes from. */
  readonly metadata?: Readonly<Record<string, unknown>>;
}

/** Writes `sae` into the folder `dir`, made if need be; same SAE, same bytes. Errors: those of `validateSae`. */
export function saveSae(dir: string, sae: Sae, { metadata = {} }: SaveSaeOptions = {}): void {
  validateSae(sae, dir);
  const { cfg } = sae;
  const { d_in, d_out, d_sae, hook_name_out } = cfg;
  const kind: StoredKind = {
    stored: architectures[cfg.architecture].stored,
    isTranscoder: hook_name_out !== null,
    hasSkip: cfg.skip_connection,
  };
  mkdirSync(dir, { recursive: true });
  writeSafetensors(join(dir, "sae_weights.safetensors"), storedTensors(sae));
  writeJsonAtomic(join(dir, "cfg.json"), {
    architecture: storedName(kind),
    d_in,
    ...(kind.isTranscoder && { d_out }),
    d_sae,
    ...(kind.stored === "topk" ? { k: cfg.k, rescale_acts_by_decoder_norm: false } : {}),
    dtype: "float32",
    device: "cpu",
    apply_b_dec_to_input: cfg.apply_b_dec_to_input,
    normalize_activations: cfg.normalize_activations,
    reshape_activations: "none",
    metadata: {
      sae_lens_version: saeLensVersion,
      model_name: cfg.model_name,
      hook_name: cfg.hook_name,
      ...(kind.isTranscoder && { hook_name_out }),
      hook_head_index: null,
      context_size: cfg.context_size,
      prepend_bos: true,
      training_architecture: cfg.architecture,
      sae_carry: {
        format_version: formatVersion,
        architecture: cfg.architecture,
        k: cfg.k,
        ...(cfg.matryoshka_widths && { matryoshka_widths: cfg.matryoshka_widths }),
        ...leftOutFields(cfg),
        aux_coefficient: cfg.aux_coefficient,
        provenance: metadata,
      },
    },
  });
}

/** Reads the SAE in the folder `dir`. Errors: UsageError naming the file and field for whatever it can't honour. */
export function loadSae(dir: string): Sae {
  const cfgPath = join(dir, "cfg.json");
  const weightsPath = join(dir, "sae_weights.safetensors");
  const fields = new Fields(
    readJson(cfgPath),
    cfgPath,
    "Only SAELens 6 files of standard, gated, topk and jumprelu SAEs and transcoders are read here; import converts others.",
  );
  const kind = storedKind(fields.oneOf("architecture", storedNames));
  const { stored, isTranscoder, hasSkip } = kind;
  const metadata = fields.object("metadata");
  if (!atLeast(metadata.optionalString("sae_lens_version"), 6)) {
    metadata.fail("sae_lens_version", "6.0.0 or later", metadata.value("sae_lens_version"));
  }
  const ours = metadata.optionalObject("sae_carry");
  if (ours && ours.number("format_version") !== formatVersion) {
    ours.fail("format_version", String(formatVersion), ours.value("format_version"));
  }
  const architecture = trainedAs(stored, metadata, ours);
  const normalize_activations = fields.oneOf(
    "normalize_activations",
    isTranscoder ? ["none"] : runtimeNorms,
  );
  fields.oneOf("reshape_activations", ["none"]);
  const d_in = fields.number("d_in");
  const d_sae = fields.number("d_sae");
  const cfg = saeConfig({
    architecture,
    d_in,
    ...(isTranscoder && { d_out: fields.number("d_out") }),
    d_sae,
    k: stored === "topk" ? fields.number("k") : ((ours ?? metadata).optionalNumber("k") ?? null),
    matryoshka_widths:
      architecture === "matryoshka_batchtopk" ? ours?.numbers("matryoshka_widths") : null,
    apply_b_dec_to_input: fields.oneOf(
      "apply_b_dec_to_input",
      isTranscoder ? [false] : [true, false],
    ),
    normalize_activations,
    hook_name: metadata.string("hook_name"),
    hook_name_out: isTranscoder ? metadata.string("hook_name_out") : null,
    skip_connection: hasSkip,
    model_name: metadata.optionalString("model_name") ?? "unknown",
    context_size: metadata.optionalNumber("context_size") ?? 0,
    ...(ours && {
      ...readLeftOut(ours),
      aux_coefficient: ours.number("aux_coefficient"),
    }),
  });
  const tensors = new StoredTensors(weightsPath);
  const sae = takeSae(cfg, stored, tensors);
  tensors.finish(isTranscoder ? `a ${storedName(kind)}` : `a ${stored} SAE`);
  validateSae(sae, dir);
  // with unit norms the factor is one; others are folded, which makes the same SAE without it
  const isRescaled =
    stored === "topk" && fields.oneOf("rescale_acts_by_decoder_norm", [true, false]);
  return isRescaled ? foldRescaling(sae) : sae;
}

type Stored = (typeof architectures)[SaeArchitecture]["stored"];

/** A batchtopk SAE is stored as a jumprelu one; our own field, or SAELens's training_architecture, tells them apart. */
function trainedAs(stored: Stored, metadata: Fields, ours: Fields | undefined): SaeArchitecture {
  const named = architectureNames.filter((name) => architectures[name].stored === stored);
  if (ours) return ours.oneOf("architecture", named);
  const trained = metadata.value("training_architecture");
  // without k or widths there is nothing to train on with, so it stays what it is in inference
  return trained === "batchtopk" && metadata.value("k") != null ? "batchtopk" : stored;
}

function storedTensors(sae: Sae): Map<string, HostTensor> {
  const { d_in, d_out, d_sae, architecture } = sae.cfg;
  const { stored } = architectures[architecture];
  const tensors = new Map<string, HostTensor>([
    ["W_enc", { shape: [d_in, d_sae], data: sae.W_enc }],
    [sae.gate ? "b_gate" : "b_enc", { shape: [d_sae], data: sae.b_enc }],
    ["W_dec", { shape: [d_sae, d_out], data: sae.W_dec }],
    ["b_dec", { shape: [d_out], data: sae.b_dec }],
  ]);
  if (sae.W_skip) tensors.set("W_skip", { shape: [d_out, d_in], data: sae.W_skip });
  const add = (name: string, data: Float32Array): unknown =>
    tensors.set(name, { shape: [d_sae], data });
  if (sae.threshold && stored === "jumprelu") add("threshold", sae.threshold);
  if (sae.gate) {
    add("r_mag", sae.gate.r_mag);
    add("b_mag", sae.gate.b_mag);
  }
  return tensors;
}

function takeSae(cfg: SaeConfig, stored: Stored, tensors: StoredTensors): Sae {
  const { d_in, d_out, d_sae } = cfg;
  const latents = (name: string): Float32Array => tensors.take(name, [d_sae]);
  return {
    cfg,
    W_enc: tensors.take("W_enc", [d_in, d_sae]),
    b_enc: latents(stored === "gated" ? "b_gate" : "b_enc"),
    W_dec: tensors.take("W_dec", [d_sae, d_out]),
    b_dec: tensors.take("b_dec", [d_out]),
    ...(cfg.skip_connection && { W_skip: tensors.take("W_skip", [d_out, d_in]) }),
    threshold:
      stored === "jumprelu"
        ? latents("threshold")
        : stored === "standard"
          ? new Float32Array(d_sae)
          : null,
    ...(stored === "gated" && { gate: { r_mag: latents("r_mag"), b_mag: latents("b_mag") } }),
  };
}

/** Whether a version such as "6.12.0-rc.1" has at least this major number. */
function atLeast(version: string | undefined, major: number): boolean {
  return version !== undefined && Number.parseInt(version, 10) >= major;
}

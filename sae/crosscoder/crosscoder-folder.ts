/**
 * @file A crosscoder on disk: cfg.json and sae_weights.safetensors, laid out as an SAE of joined rows, with the sides in
 * cfg.json. Its architecture is "crosscoder", which readers of SAEs refuse by name. The reader is as strict as theirs:
 * a tensor or a setting that it can't honour is a UsageError.
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import {
  type HostTensor,
  readJson,
  writeJsonAtomic,
  writeSafetensors,
} from "../../src/io/index.ts";
import { Fields } from "../formats/fields.ts";
import type { SaveSaeOptions } from "../formats/saelens.ts";
import { StoredTensors } from "../formats/stored-tensors.ts";
import { saeConfig } from "../sae.ts";
import {
  type Crosscoder,
  type CrosscoderSide,
  crosscoderArchitectures,
  joinedHook,
  validateCrosscoder,
} from "./crosscoder.ts";

const formatVersion = 1;

/** What cfg.json says it is. */
export const crosscoderKind = "crosscoder";

/** Writes a crosscoder into the folder `dir`, made if need be; same crosscoder, same bytes. Errors: those of `validateCrosscoder`. */
export function saveCrosscoder(
  dir: string,
  crosscoder: Crosscoder,
  { metadata = {} }: SaveSaeOptions = {},
): void {
  validateCrosscoder(crosscoder, dir);
  const { sae, parent, child, tokens } = crosscoder;
  const { cfg, W_enc, b_enc, W_dec, b_dec, threshold } = sae;
  const { d_in, d_sae } = cfg;
  mkdirSync(dir, { recursive: true });
  const tensors = new Map<string, HostTensor>([
    ["W_enc", { shape: [d_in, d_sae], data: W_enc }],
    ["b_enc", { shape: [d_sae], data: b_enc }],
    ["W_dec", { shape: [d_sae, d_in], data: W_dec }],
    ["b_dec", { shape: [d_in], data: b_dec }],
  ]);
  if (cfg.architecture === "batchtopk") {
    tensors.set("threshold", { shape: [d_sae], data: threshold as Float32Array });
  }
  writeSafetensors(join(dir, "sae_weights.safetensors"), tensors);
  writeJsonAtomic(join(dir, "cfg.json"), {
    architecture: crosscoderKind,
    d_in,
    d_sae,
    dtype: "float32",
    sae_carry: {
      format_version: formatVersion,
      architecture: cfg.architecture,
      k: cfg.k,
      parent,
      child,
      tokens,
      context_size: cfg.context_size,
      first_tokens_excluded: cfg.first_tokens_excluded,
      aux_coefficient: cfg.aux_coefficient,
      provenance: metadata,
    },
  });
}

/** Reads the crosscoder in the folder `dir`. Errors: UsageError naming the file and field for whatever it can't honour. */
export function loadCrosscoder(dir: string): Crosscoder {
  const path = join(dir, "cfg.json");
  const fields = new Fields(
    readJson(path),
    path,
    "Only crosscoders that sae-carry wrote are read.",
  );
  fields.oneOf("architecture", [crosscoderKind]);
  const ours = fields.object("sae_carry");
  if (ours.number("format_version") !== formatVersion) {
    ours.fail("format_version", String(formatVersion), ours.value("format_version"));
  }
  const architecture = ours.oneOf("architecture", crosscoderArchitectures);
  const parent = sideOf(ours.object("parent"));
  const child = sideOf(ours.object("child"));
  const [d_in, d_sae] = [fields.number("d_in"), fields.number("d_sae")];
  const tensors = new StoredTensors(join(dir, "sae_weights.safetensors"));
  const crosscoder: Crosscoder = {
    sae: {
      cfg: saeConfig({
        ...{ architecture, d_in, d_sae },
        hook_name: joinedHook(parent.hook_name, child.hook_name),
        model_name: `${parent.model_name} & ${child.model_name}`,
        k: ours.optionalNumber("k") ?? null,
        context_size: ours.number("context_size"),
        first_tokens_excluded: ours.number("first_tokens_excluded"),
        aux_coefficient: ours.number("aux_coefficient"),
      }),
      W_enc: tensors.take("W_enc", [d_in, d_sae]),
      b_enc: tensors.take("b_enc", [d_sae]),
      W_dec: tensors.take("W_dec", [d_sae, d_in]),
      b_dec: tensors.take("b_dec", [d_in]),
      threshold:
        architecture === "batchtopk" ? tensors.take("threshold", [d_sae]) : new Float32Array(d_sae),
    },
    parent,
    child,
    tokens: ours.number("tokens"),
  };
  tensors.finish(`a ${architecture} crosscoder`);
  validateCrosscoder(crosscoder, dir);
  return crosscoder;
}

function sideOf(fields: Fields): CrosscoderSide {
  return {
    model_name: fields.string("model_name"),
    hook_name: fields.string("hook_name"),
    d_in: fields.number("d_in"),
    scale: fields.number("scale"),
  };
}

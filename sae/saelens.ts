/**
 * @file SAEs on disk in SAELens's layout (version 6 and later): cfg.json and sae_weights.safetensors,
 * which `sae_lens.SAE.load_from_disk` reads as they are. A batchtopk SAE is stored as the jumprelu
 * it is in inference; what SAELens has no field for lies under metadata.sae_carry. A missing
 * metadata.sae_lens_version would make SAELens rebuild the metadata in its old flat format.
 * The reader is strict: a tensor or a setting that it can't honour is a UsageError, since others
 * have loaded SAEs "successfully" with their threshold dropped.
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import {
  type HostTensor,
  readJson,
  readSafetensors,
  UsageError,
  writeJsonAtomic,
  writeSafetensors,
} from "../src/io/index.ts";
import { type Sae, type SaeArchitecture, saeConfig, validateSae } from "./sae.ts";

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
  const { cfg, threshold } = sae;
  const { d_in, d_sae } = cfg;
  const tensors = new Map<string, HostTensor>([
    ["W_enc", { shape: [d_in, d_sae], data: sae.W_enc }],
    ["b_enc", { shape: [d_sae], data: sae.b_enc }],
    ["W_dec", { shape: [d_sae, d_in], data: sae.W_dec }],
    ["b_dec", { shape: [d_in], data: sae.b_dec }],
  ]);
  if (threshold) tensors.set("threshold", { shape: [d_sae], data: threshold });
  mkdirSync(dir, { recursive: true });
  writeSafetensors(join(dir, "sae_weights.safetensors"), tensors);
  writeJsonAtomic(join(dir, "cfg.json"), {
    architecture: threshold ? "jumprelu" : "topk",
    d_in,
    d_sae,
    ...(threshold ? {} : { k: cfg.k, rescale_acts_by_decoder_norm: false }),
    dtype: "float32",
    device: "cpu",
    apply_b_dec_to_input: true,
    normalize_activations: "none",
    reshape_activations: "none",
    metadata: {
      sae_lens_version: saeLensVersion,
      model_name: cfg.model_name,
      hook_name: cfg.hook_name,
      hook_head_index: null,
      context_size: cfg.context_size,
      prepend_bos: true,
      training_architecture: cfg.architecture,
      sae_carry: {
        format_version: formatVersion,
        architecture: cfg.architecture,
        k: cfg.k,
        first_tokens_excluded: cfg.first_tokens_excluded,
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
  const fields = new Fields(readJson(cfgPath), cfgPath);
  const metadata = fields.object("metadata");
  if (!atLeast(metadata.optionalString("sae_lens_version"), 6)) {
    metadata.fail("sae_lens_version", "6.0.0 or later", metadata.value("sae_lens_version"));
  }
  const ours = metadata.optionalObject("sae_carry");
  if (ours && ours.number("format_version") !== formatVersion) {
    ours.fail("format_version", String(formatVersion), ours.value("format_version"));
  }
  const stored = fields.oneOf("architecture", ["topk", "jumprelu"]);
  const architecture: SaeArchitecture = stored === "topk" ? "topk" : "batchtopk";
  if (ours) ours.oneOf("architecture", [architecture]);
  fields.oneOf("apply_b_dec_to_input", [true]);
  fields.oneOf("normalize_activations", ["none"]);
  fields.oneOf("reshape_activations", ["none"]);
  if (architecture === "topk") fields.oneOf("rescale_acts_by_decoder_norm", [false]);
  const cfg = saeConfig({
    architecture,
    d_in: fields.number("d_in"),
    d_sae: fields.number("d_sae"),
    // a plain jumprelu SAE doesn't say how many latents it wants active
    k: architecture === "topk" ? fields.number("k") : (ours ?? metadata).number("k"),
    hook_name: metadata.string("hook_name"),
    model_name: metadata.optionalString("model_name") ?? "unknown",
    context_size: metadata.optionalNumber("context_size") ?? 0,
    ...(ours && {
      first_tokens_excluded: ours.number("first_tokens_excluded"),
      aux_coefficient: ours.number("aux_coefficient"),
    }),
  });

  const { tensors } = readSafetensors(weightsPath);
  const take = (name: string, shape: readonly number[]): Float32Array => {
    const tensor = tensors.get(name);
    if (!(tensor?.data instanceof Float32Array) || String(tensor.shape) !== String(shape)) {
      throw new UsageError({
        code: "sae-tensor",
        where: `${weightsPath}: ${name}`,
        expected: `float32 [${shape.join(", ")}]`,
        got: tensor ? `${tensor.data.constructor.name} [${tensor.shape.join(", ")}]` : "no tensor",
      });
    }
    tensors.delete(name);
    return tensor.data;
  };
  const { d_in, d_sae } = cfg;
  const sae: Sae = {
    cfg,
    W_enc: take("W_enc", [d_in, d_sae]),
    b_enc: take("b_enc", [d_sae]),
    W_dec: take("W_dec", [d_sae, d_in]),
    b_dec: take("b_dec", [d_in]),
    threshold: architecture === "batchtopk" ? take("threshold", [d_sae]) : null,
  };
  if (tensors.size > 0) {
    throw new UsageError({
      code: "sae-tensor",
      where: weightsPath,
      expected: `only the tensors of a ${stored} SAE`,
      got: `also ${[...tensors.keys()].join(", ")}`,
    });
  }
  validateSae(sae, dir);
  return sae;
}

/** Whether a version such as "6.12.0-rc.1" has at least this major number. */
function atLeast(version: string | undefined, major: number): boolean {
  return version !== undefined && Number.parseInt(version, 10) >= major;
}

/** An untrusted JSON object whose fields are asked for with their types. */
class Fields {
  readonly #record: Readonly<Record<string, unknown>>;
  readonly #where: string;

  constructor(value: unknown, where: string) {
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      throw new UsageError({
        code: "sae-cfg",
        where,
        expected: "a JSON object",
        got: JSON.stringify(value) ?? "nothing",
      });
    }
    this.#record = value as Record<string, unknown>;
    this.#where = where;
  }

  fail(field: string, expected: string, got: unknown): never {
    throw new UsageError({
      code: "sae-cfg",
      where: `${this.#where}: ${field}`,
      expected,
      got: JSON.stringify(got) ?? "nothing",
      hint: "Only SAELens 6 files of topk and jumprelu SAEs are read here; import converts others.",
    });
  }

  value(field: string): unknown {
    return Object.hasOwn(this.#record, field) ? this.#record[field] : undefined;
  }

  number(field: string): number {
    const value = this.value(field);
    return typeof value === "number" ? value : this.fail(field, "a number", value);
  }

  string(field: string): string {
    const value = this.value(field);
    return typeof value === "string" ? value : this.fail(field, "a string", value);
  }

  optionalNumber(field: string): number | undefined {
    return this.value(field) == null ? undefined : this.number(field);
  }

  optionalString(field: string): string | undefined {
    return this.value(field) == null ? undefined : this.string(field);
  }

  oneOf<T extends string | boolean>(field: string, allowed: readonly T[]): T {
    const value = this.value(field);
    const found = allowed.find((candidate) => candidate === value);
    return found ?? this.fail(field, allowed.map((a) => JSON.stringify(a)).join(" or "), value);
  }

  object(field: string): Fields {
    return new Fields(this.value(field), `${this.#where}: ${field}`);
  }

  optionalObject(field: string): Fields | undefined {
    return this.value(field) == null ? undefined : this.object(field);
  }
}

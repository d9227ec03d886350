/**
 * @file Where SAEs and dumps come from, by the hashes of the model and the tokenizer that they store, and what two of
 * them say to each other. An SAE may be studied on another model than its own, so what differs is said, not refused.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { readJson, sha256File } from "../src/io/index.ts";

/** SHA-256 of model.safetensors and of tokenizer.json; null where nothing tells. */
export interface Origin {
  readonly model: string | null;
  readonly tokenizer: string | null;
}

/** The origin of what a model makes. */
export function modelOrigin(dir: string): Origin {
  return { model: hashOf(dir, "model.safetensors"), tokenizer: hashOf(dir, "tokenizer.json") };
}

/** What the metadata of a dump says. */
export function dumpOrigin(metadata: Readonly<Record<string, string>>): Origin {
  return {
    model: metadata["sae_carry.model_sha256"] ?? null,
    tokenizer: metadata["sae_carry.tokenizer_sha256"] ?? null,
  };
}

/** What an SAE of ours says of the model it was trained on; nothing in folders of others. */
export function saeOrigin(dir: string): Origin {
  const path = join(dir, "cfg.json");
  let value = existsSync(path) ? readJson(path) : null;
  for (const key of ["metadata", "sae_carry", "provenance"]) value = field(value, key);
  return {
    model: text(field(value, "model_sha256")),
    tokenizer: text(field(value, "tokenizer_sha256")),
  };
}

/** The fields that keep an origin with an SAE. */
export function originFields({ model, tokenizer }: Origin): Record<string, string> {
  return {
    ...(model !== null && { model_sha256: model }),
    ...(tokenizer !== null && { tokenizer_sha256: tokenizer }),
  };
}

/** One warning for each hash in which an SAE and what it is put on differ; none where either doesn't tell. */
export function originWarnings(sae: Origin, on: Origin, where: string): string[] {
  const differ = (key: keyof Origin): boolean =>
    sae[key] !== null && on[key] !== null && sae[key] !== on[key];
  const short = (hash: string | null): string => (hash ?? "").slice(0, 8);
  const said = (key: keyof Origin, what: string): string[] =>
    differ(key)
      ? [
          `the SAE was trained with another ${what} (${short(sae[key])}) than ${where} has (${short(on[key])})`,
        ]
      : [];
  return [...said("tokenizer", "tokenizer"), ...said("model", "model")];
}

function hashOf(dir: string, file: string): string | null {
  const path = join(dir, file);
  return existsSync(path) ? sha256File(path) : null;
}

function field(value: unknown, key: string): unknown {
  if (typeof value !== "object" || value === null || !Object.hasOwn(value, key)) return null;
  return (value as Record<string, unknown>)[key];
}

function text(value: unknown): string | null {
  return typeof value === "string" ? value : null;
}

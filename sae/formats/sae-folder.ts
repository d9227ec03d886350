/**
 * @file SAEs in the folders of the libraries that are known here: which library's a folder is, reading any of them
 * and writing into any of them. The format is told by the files' names alone.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { UsageError } from "../../src/io/index.ts";
import type { Sae } from "../sae.ts";
import { loadDictionary, saveDictionary } from "./dictionary-learning.ts";
import { unknownHook } from "./own-fields.ts";
import { loadSae, saveSae } from "./saelens.ts";
import { loadSparsifySae, saveSparsifySae } from "./sparsify.ts";

/** A library whose folders are read and written. */
export type SaeFormat = "saelens" | "sparsify" | "dictionary_learning";

/** What one needs to know of a format. */
export interface SaeFormatTraits {
  /** The file of weights, which tells the format, and the file of settings. */
  readonly files: readonly [weights: string, settings: string];
  /** Reads a folder. Errors: UsageError naming file and field. */
  load(dir: string): Sae;
  /** Writes a folder. Errors: UsageError for what the format can't hold exactly. */
  save(dir: string, sae: Sae): void;
}

/** Every format. */
export const saeFormats: Readonly<Record<SaeFormat, SaeFormatTraits>> = {
  saelens: { files: ["sae_weights.safetensors", "cfg.json"], load: loadSae, save: saveSae },
  sparsify: {
    files: ["sae.safetensors", "cfg.json"],
    load: loadSparsifySae,
    save: saveSparsifySae,
  },
  dictionary_learning: {
    files: ["ae.pt", "config.json"],
    load: loadDictionary,
    save: saveDictionary,
  },
};

/** Their names. */
export const saeFormatNames: readonly SaeFormat[] = Object.keys(saeFormats) as SaeFormat[];

/** The format of the folder `dir` by its files of weights; null where it has none of them. Errors: UsageError for several. */
export function saeFormatOf(dir: string): SaeFormat | null {
  const found = saeFormatNames.filter((name) => existsSync(join(dir, saeFormats[name].files[0])));
  if (found.length <= 1) return found[0] ?? null;
  throw new UsageError({
    code: "sae-format",
    where: dir,
    expected: "the SAE of one library",
    got: `files of ${found.join(" and ")}`,
    hint: `--from says which to read`,
  });
}

/** How to read a folder. */
export interface ReadSaeOptions {
  /** Default: by the files' names. */
  readonly from?: SaeFormat;
  /** The hook it reads, in place of what the folder says. */
  readonly hook?: string;
  /** The hook it reads where nothing tells. Default: "unknown". */
  readonly usualHook?: string;
}

/** An SAE and the format it was in. */
export interface FoundSae {
  readonly sae: Sae;
  readonly format: SaeFormat;
}

/** Reads the SAE in a folder of any known library; its hook is `usualHook` where nothing tells. Errors: UsageError naming file and field. */
export function readSaeFolder(
  dir: string,
  { from, hook, usualHook = unknownHook }: ReadSaeOptions = {},
): FoundSae {
  const format = from ?? saeFormatOf(dir);
  if (format === null) {
    throw new UsageError({
      code: "sae-format",
      where: dir,
      expected: `a folder with ${saeFormatNames.map((name) => saeFormats[name].files.join(" and ")).join("; ")}`,
      got: existsSync(dir) ? "a folder with none of these" : "no such folder",
    });
  }
  const sae = saeFormats[format].load(dir);
  const told = sae.cfg.hook_name === unknownHook ? usualHook : sae.cfg.hook_name;
  return { format, sae: { ...sae, cfg: { ...sae.cfg, hook_name: hook ?? told } } };
}

/** Throws a UsageError where nothing told the SAE's hook. */
export function requireHook({ cfg }: Sae, dir: string): void {
  if (cfg.hook_name !== unknownHook) return;
  throw new UsageError({
    code: "sae-hook",
    where: dir,
    expected: "a folder that tells which activations the SAE reads",
    got: "one that doesn't",
    hint: "--hook blocks.5.hook_resid_post names them, under TransformerLens's names",
  });
}

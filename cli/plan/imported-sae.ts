/**
 * @file `saes[].from`: what a plan takes from the folder of an SAE that exists, ours or another library's, and its
 * fingerprint. The keys that say what the SAE is come from the folder; a plan that says otherwise is refused. A run
 * holds a copy, so that one that is made outlives the folder; a changed folder is refused while it is there.
 */
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { readSaeFolder, type Sae, saeFormatOf, saeFormats } from "../../sae/index.ts";
import { sha256File, UsageError } from "../../src/io/index.ts";
import type { SaePlan } from "./types.ts";

/** What the folder decides. */
type Imported = Pick<
  SaePlan,
  | "architecture"
  | "d_sae"
  | "k"
  | "matryoshka_widths"
  | "hook"
  | "hook_out"
  | "skip_connection"
  | "normalize_activations"
  | "from_sha256"
>;

/** SHA-256 over the hashes of the folder's two files, in hex. Errors: UsageError where it holds no SAE, or several. */
function saeFingerprint(dir: string): string {
  const format = saeFormatOf(dir);
  if (format === null) readSaeFolder(dir); // says what is missing
  const hash = createHash("sha256");
  for (const file of saeFormats[format ?? "saelens"].files) {
    hash.update(existsSync(join(dir, file)) ? sha256File(join(dir, file)) : "none");
  }
  return hash.digest("hex");
}

/** The SAE of `from`. Errors: those of its format; another one than `from_sha256` says. */
export function importedSae(sae: Partial<SaePlan>, where: string): Sae {
  return readImported(sae, where).sae;
}

function readImported(
  { from, from_sha256, hook }: Partial<SaePlan>,
  where: string,
): { readonly sae: Sae; readonly from_sha256: string } {
  const dir = from as string;
  const found = saeFingerprint(dir);
  if (from_sha256 && from_sha256 !== found) {
    throw new UsageError({
      code: "sae-changed",
      where: `${where} (${dir})`,
      expected: `the SAE that the run began with (${from_sha256.slice(0, 8)})`,
      got: `another one (${found.slice(0, 8)})`,
      hint: "Put the former one back, or begin a new run in another folder.",
    });
  }
  return { sae: readSaeFolder(dir, { usualHook: hook }).sae, from_sha256: found };
}

/**
 * The keys that the folder decides; null where it is gone and the plan, as a run stores it, spells them all out.
 * `where` names the plan's key. Errors: those of `importedSae`; a plan that says otherwise than the folder.
 */
export function importedKeys(input: Partial<SaePlan>, where: string): Imported | null {
  const isStored = Boolean(input.from_sha256);
  if (isStored && !existsSync(input.from as string)) return null;
  const { sae, from_sha256 } = readImported(input, `${where}.from`);
  const { cfg } = sae;
  // where nothing selects by number, a plan's k is the L0 that fresh SAEs beside it are steered to
  const k = cfg.k ?? input.k ?? null;
  const norm = cfg.normalize_activations;
  const keys: Imported = {
    architecture: cfg.architecture,
    d_sae: cfg.d_sae,
    k,
    matryoshka_widths: cfg.matryoshka_widths,
    hook: cfg.hook_name,
    hook_out: cfg.hook_name_out,
    skip_connection: cfg.skip_connection,
    normalize_activations:
      norm === "none" ? (input.normalize_activations ?? "expected_average_only_in") : norm,
    from_sha256,
  };
  for (const [key, value] of Object.entries(keys)) {
    const given = input[key as keyof SaePlan];
    if (given === undefined || given === null) continue;
    if (JSON.stringify(given) === JSON.stringify(value)) continue;
    throw new UsageError({
      code: "plan-bad-value",
      where: `${where}.${key}`,
      expected: `${JSON.stringify(value)}, as the SAE in ${input.from} has it (or no such key)`,
      got: JSON.stringify(given),
    });
  }
  return keys;
}

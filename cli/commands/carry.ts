/**
 * @file `carry`: carries one SAE of any known library through the map of one expansion or of several, one after the
 * other; checks it on text; may append latents; writes the folder of any known library.
 */
import { existsSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import {
  appendLineage,
  type CarriedSae,
  type CarryCheck,
  carrySae,
  checkCarry,
  freshLineage,
  growSae,
  modelActivations,
  outputHook,
  readLineage,
  readSaeFolder,
  requireHook,
  type Sae,
  type SaeFormat,
  saeFormats,
  saveSae,
  writeLineage,
} from "../../sae/index.ts";
import { createRng, useBackend } from "../../src/engine/index.ts";
import {
  type ExpansionMap,
  type HookMap,
  hookEntry,
  type MapKind,
  mapKind,
  sizeInfo,
} from "../../src/expansion/index.ts";
import { UsageError } from "../../src/io/index.ts";
import { loadModel, type Model, placeModel } from "../../src/models/index.ts";
import type { Context } from "../context.ts";
import { claimFolder, writeFolder } from "../out-folder.ts";
import type { Row } from "../output.ts";
import { outputFields, outputRows } from "../transcoder-output.ts";
import { readExpansions } from "./read-expansions.ts";
import { tokensOfText } from "./text-tokens.ts";

/** Flags of `carry`. */
export interface CarryFlags {
  /** Folders of expansions, the first one first. */
  readonly expansion?: readonly string[];
  /** The library whose folder is written. */
  readonly to?: SaeFormat;
  /** The hook that the SAE reads, in place of what its folder says. */
  readonly hook?: string;
  readonly newLatents?: number;
  readonly text?: string;
  /** The parent. */
  readonly model?: string;
}

const checkedTokens = 20_000;
const lineageFile = "lineage.arrow";

/** Carries the SAE in `dir` into --out. Errors: UsageError naming file or flag. */
export async function carry(dir: string, flags: CarryFlags, context: Context): Promise<void> {
  const { expansion = [], newLatents = 0, text, model, to = "saelens", hook } = flags;
  const last = expansion.at(-1);
  if (last === undefined) {
    throw new UsageError({
      code: "no-expansion",
      where: "--expansion",
      expected: "the folder of an expansion (map.json, map.safetensors)",
      got: "nothing",
    });
  }
  if ((text === undefined) !== (model === undefined) || (newLatents > 0 && text === undefined)) {
    throw new UsageError({
      code: "bad-flag",
      where: newLatents > 0 ? "--new-latents" : "--text and --model",
      expected: "--text FILE and --model PARENT, both",
      got:
        text === undefined ? (model === undefined ? "neither" : "--model alone") : "--text alone",
    });
  }
  const { sae } = readSaeFolder(dir, { hook });
  requireHook(sae, dir);
  const map = readExpansions(expansion);
  const carried = carrySae(sae, map);
  if (context.dryRun) {
    print(context, {
      out: context.out ?? "",
      sae,
      map,
      carried,
      appended: newLatents,
      check: null,
    });
    return;
  }
  const out = claimFolder({
    out: context.out,
    force: context.force,
    marker: saeFormats[to].files[1],
  });
  const measured =
    text === undefined || model === undefined
      ? null
      : await measure(
          { sae, map, carried, text, parentDir: model, childDir: childFolder(last), newLatents },
          context,
        );
  const grown = measured?.grown ?? carried.sae;
  const stage = basename(resolve(out));
  const former = join(dir, lineageFile);
  const lineage = existsSync(former)
    ? readLineage(former)
    : freshLineage(sae.cfg.d_sae, basename(resolve(dir)));
  await writeFolder(out, (folder) => {
    if (to === "saelens") saveSae(folder, grown, { metadata: { carried_through: map.method } });
    else saeFormats[to].save(folder, grown);
    writeLineage(join(folder, lineageFile), appendLineage(lineage, newLatents, stage));
  });
  print(context, { out, sae, map, carried, appended: newLatents, check: measured?.check ?? null });
}

interface Measuring {
  readonly sae: Sae;
  readonly map: ExpansionMap;
  readonly carried: CarriedSae;
  readonly text: string;
  readonly parentDir: string;
  readonly childDir: string;
  readonly newLatents: number;
}

// The check is of the carry alone; latents are appended after it.
async function measure(
  { sae, map, carried, text, parentDir, childDir, newLatents }: Measuring,
  { backend = "auto", threads, seed = 0, progress }: Context,
): Promise<{ check: CarryCheck; grown: Sae }> {
  await useBackend(backend, { threads });
  const parent = placeChecked(parentDir, map, "parent");
  const { set } = await tokensOfText(parentDir, parent.config, text, checkedTokens);
  const child = placeChecked(childDir, map, "child");
  progress.update({ label: "checking the carried SAE", done: null });
  const check = await checkCarry(sae, carried, map, parent, child, set);
  progress.update({ label: "appending latents", done: null });
  const rng = createRng(`seed ${seed}`).fork("carry");
  const source = modelActivations(child, carried.hook_name, set, {
    batchSize: 1024,
    rng: rng.fork("activations"),
    firstTokensExcluded: sae.cfg.first_tokens_excluded,
    target: carried.sae.cfg.hook_name_out,
  });
  const grown = await growSae(carried.sae, source, newLatents, rng.fork("latents"));
  source.dispose();
  parent.dispose();
  child.dispose();
  return { check, grown };
}

// `expand` writes the child beside the map, a run into model/ under it.
function childFolder(expansion: string): string {
  return existsSync(join(expansion, "config.json")) ? expansion : join(expansion, "model");
}

function placeChecked(dir: string, map: ExpansionMap, side: "parent" | "child"): Model {
  const model = loadModel(dir);
  const { params, n_layer, d_model } = sizeInfo(model.config);
  const wanted = map[side];
  if (params !== wanted.params || n_layer !== wanted.n_layer || d_model !== wanted.d_model) {
    throw new UsageError({
      code: "wrong-model",
      where: dir,
      expected: `the expansion's ${side}: ${wanted.n_layer} layers × ${wanted.d_model}, ${wanted.params} parameters`,
      got: `${n_layer} layers × ${d_model}, ${params} parameters`,
    });
  }
  return placeModel(model);
}

interface Answer {
  readonly out: string;
  readonly sae: Sae;
  readonly map: ExpansionMap;
  readonly carried: CarriedSae;
  readonly appended: number;
  readonly check: CarryCheck | null;
}

const mapNames: Readonly<Record<MapKind, string>> = {
  exact: "exact",
  published: "the growth method's own, which is not exact here",
  fitted: "fitted on text, since the growth method has none here",
  copied: "none of the growth method's and none fitted: coordinates as they are",
};

/** Of the maps of some hooks, which carrySae found, the kind that promises least. */
function leastExact(map: ExpansionMap, hooks: readonly string[]): ReturnType<typeof mapKind> {
  const order: readonly MapKind[] = ["exact", "published", "fitted", "copied"];
  const kinds = hooks.map((hook) => mapKind(hookEntry(map, hook) as HookMap));
  return kinds.reduce((a, b) => (order.indexOf(b.kind) > order.indexOf(a.kind) ? b : a));
}

function print(context: Context, { out, sae, map, carried, appended, check }: Answer): void {
  const { hook_name, d_in } = carried.sae.cfg;
  const { kind, r2 } = leastExact(map, [sae.cfg.hook_name, outputHook(sae.cfg)]);
  const latents = sae.cfg.d_sae;
  context.print(
    {
      format: "sae-carry/carry",
      version: 1,
      out,
      d_in,
      d_sae: latents + appended,
      carried: latents,
      appended,
      hook_name,
      ...outputFields(carried.sae.cfg),
      map: kind,
      r2,
      check,
    },
    [
      ["hook", hook_name],
      ["map", mapNames[kind]],
      ...(kind === "exact" ? [] : [["its R² on held-out text", r2] satisfies Row]),
      ["width", `${sae.cfg.d_in} → ${d_in}`],
      ...outputRows(carried.sae.cfg),
      ["latents carried", latents],
      ["latents appended", appended],
      ["same latents", check?.same_latents],
      ["FVU of the parent's SAE", check?.fvu_parent],
      ["FVU in the parent's frame", check?.fvu_parent_frame],
      ["out", out],
    ],
  );
}

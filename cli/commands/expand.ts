/** @file `expand`: grows a Hugging Face checkpoint, measures how exact that came out, writes child and map. */
import { copyFileSync, existsSync } from "node:fs";
import { join } from "node:path";
import { createRng, tf, useBackend } from "../../src/engine/index.ts";
import {
  copySpread,
  type Exactness,
  type ExpansionMap,
  expandModel,
  hookEntry,
  measureExactness,
  offImageEnergy,
  parseGrowth,
  planExpansion,
  type SizeInfo,
  writeMap,
} from "../../src/expansion/index.ts";
import {
  activationsAt,
  blockHook,
  loadModel,
  type Model,
  type ModelConfig,
  modelSizes,
  placeModel,
  saveModel,
} from "../../src/models/index.ts";
import type { Context } from "../context.ts";
import { claimFolder, writeFolder } from "../out-folder.ts";
import { formatNumber, type Row } from "../output.ts";

/** Flags of `expand`, as text. */
export interface ExpandFlags {
  readonly width?: string;
  readonly layers?: string;
  readonly heads?: string;
  readonly mlp?: string;
  readonly method?: string;
  readonly depthMethod?: string;
  readonly positions?: string;
  readonly noiseDb?: number;
  /** False under --no-noise. */
  readonly noise?: boolean;
  readonly text?: string;
}

const measuredTokens = 2048;
const tokenizerFiles = ["tokenizer.json", "tokenizer_config.json"];

/** Grows the checkpoint at `dir` into --out. Errors: UsageError naming file or flag. */
export async function expand(dir: string, flags: ExpandFlags, context: Context): Promise<void> {
  const { width, layers, heads, mlp, method, depthMethod, positions, noiseDb, noise } = flags;
  const parent = loadModel(dir);
  const { options, notes } = parseGrowth(
    {
      width,
      layers,
      heads,
      mlp,
      method,
      "depth-method": depthMethod,
      positions,
      "noise-db": noise === false ? null : noiseDb,
    },
    parent.config,
  );
  if (context.dryRun) {
    const { map } = planExpansion(parent.config, options, createRng("dry run"));
    print(context, { map, notes, out: context.out ?? "" });
    return;
  }
  const out = claimFolder({ out: context.out, force: context.force, marker: "map.json" });
  const { backend = "auto", threads, seed = 0, progress } = context;
  await useBackend(backend, { threads });
  const rng = createRng(`seed ${seed}`).fork("expand");
  const { ids, batch } = await measuringTokens(dir, parent.config, flags.text, rng.fork("tokens"));

  progress.update({ label: "expanding", done: null });
  const { child, map } = await expandModel(parent, options, rng);
  progress.update({ label: "measuring exactness", done: null });
  const [small, big] = [placeModel(parent), placeModel(child)];
  const exactness = await measureExactness(small, big, map, ids, batch);
  const symmetry = await measureSymmetry(big, map, ids, batch);
  small.dispose();
  big.dispose();
  await writeFolder(out, (folder) => {
    saveModel(folder, child);
    for (const name of tokenizerFiles) {
      if (existsSync(join(dir, name))) copyFileSync(join(dir, name), join(folder, name));
    }
    writeMap(folder, { ...map, exactness });
  });
  for (const note of notes) progress.log(note);
  print(context, { map, notes, out, exactness, ...symmetry });
}

interface Answer {
  readonly map: ExpansionMap;
  readonly notes: readonly string[];
  readonly out: string;
  readonly exactness?: Exactness;
  readonly off_image?: number | null;
  readonly copy_spread?: number | null;
}

function print(context: Context, { map, notes, out, exactness, ...rest }: Answer): void {
  const { parent, child } = map;
  const { off_image = null, copy_spread = null } = rest;
  const describe = ({ n_layer, d_model, n_head, d_mlp, params }: SizeInfo): string =>
    `${n_layer} layers × ${d_model}, ${n_head} heads, ${d_mlp} neurons, ${formatNumber(params)} parameters`;
  const rows: Row[] = [
    ["parent", describe(parent)],
    ["child", describe(child)],
    ["method", map.exact ? map.method : `${map.method}, not exact`],
    ...notes.map((note): Row => ["note", note]),
  ];
  if (exactness) {
    rows.push(
      ["largest difference of a logit", exactness.max_abs_dlogit],
      ["KL", exactness.kl],
      ["residual identity", Math.max(...exactness.boundaries.map(({ rel_err }) => rel_err))],
      ["energy off the image", off_image],
      ["out", out],
    );
  }
  context.print(
    {
      format: "sae-carry/expand",
      version: 1,
      method: map.method,
      exact: map.exact,
      parent,
      child,
      exactness: exactness ?? null,
      off_image,
      copy_spread,
      fit_r2: null,
      out,
      notes,
    },
    rows,
  );
}

async function measuringTokens(
  dir: string,
  config: ModelConfig,
  text: string | undefined,
  rng: ReturnType<typeof createRng>,
): Promise<{ ids: Int32Array; batch: number }> {
  if (text !== undefined) {
    const { tokensOfText } = await import("./text-tokens.ts");
    const { set } = await tokensOfText(dir, config, text, measuredTokens);
    return { ids: set.ids, batch: set.nSeq };
  }
  const length = Math.min(modelSizes(config).context, 128);
  const batch = Math.max(1, Math.floor(measuredTokens / length));
  const ids = Int32Array.from({ length: batch * length }, () =>
    rng.int(modelSizes(config).vocabSize),
  );
  return { ids, batch };
}

// At the last boundary of the residual stream, where all growth has had its say.
async function measureSymmetry(
  child: Model,
  map: ExpansionMap,
  ids: Int32Array,
  batch: number,
): Promise<{ off_image: number | null; copy_spread: number | null }> {
  const entry = hookEntry(map, blockHook(map.parent.n_layer - 1, "hook_resid_post"));
  if (!entry) return { off_image: null, copy_spread: null };
  const activations = tf.tidy(() => activationsAt(child, ids, batch, entry.to[0]));
  const off_image = await offImageEnergy(map, entry.tensor, activations);
  const copy_spread = await copySpread(map, entry.tensor, activations);
  activations.dispose();
  return { off_image, copy_spread };
}

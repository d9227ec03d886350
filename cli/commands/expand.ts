/** @file `expand`: grows a Hugging Face checkpoint, measures how exact that came out, writes child and map. */
import { copyFileSync, existsSync } from "node:fs";
import { join } from "node:path";
import { addTokens, type GrownTokenizer, readTokenNames } from "../../src/data/index.ts";
import { createRng, tf, useBackend } from "../../src/engine/index.ts";
import {
  copySpread,
  type Exactness,
  type ExpansionMap,
  expandModel,
  fitMaps,
  hookEntry,
  type LearnStep,
  measureExactness,
  offImageEnergy,
  parseGrowth,
  plannedMap,
  type SizeInfo,
  writeMap,
} from "../../src/expansion/index.ts";
import { readJson, UsageError, writeJsonAtomic } from "../../src/io/index.ts";
import {
  activationsAt,
  blockHook,
  loadModel,
  type Model,
  modelSizes,
  placeModel,
  saveModel,
} from "../../src/models/index.ts";
import type { Context } from "../context.ts";
import { claimFolder, writeFolder } from "../out-folder.ts";
import { formatNumber, type Row } from "../output.ts";
import { measuringTokens } from "./measuring-tokens.ts";

/** Flags of `expand`, as text. */
export interface ExpandFlags {
  readonly width?: string;
  readonly layers?: string;
  readonly heads?: string;
  readonly kvHeads?: string;
  readonly headDim?: string;
  readonly mlp?: string;
  readonly vocab?: string;
  readonly experts?: string;
  readonly expertsPerToken?: string;
  /** A file of tokens. */
  readonly addTokens?: string;
  readonly method?: string;
  readonly depthMethod?: string;
  readonly positions?: string;
  readonly noiseDb?: number;
  /** False under --no-noise. */
  readonly noise?: boolean;
  readonly text?: string;
  readonly ligoSteps?: number;
  readonly ligoLr?: number;
}

const tokenizerFiles = ["tokenizer.json", "tokenizer_config.json"];

/** Grows the checkpoint at `dir` into --out. Errors: UsageError naming file or flag. */
export async function expand(dir: string, flags: ExpandFlags, context: Context): Promise<void> {
  const { width, layers, heads, mlp, method, depthMethod, positions, noiseDb, noise } = flags;
  const { ligoSteps, ligoLr } = flags;
  const parent = loadModel(dir);
  const { vocabSize } = modelSizes(parent.config);
  const added = flags.addTokens === undefined ? null : grownTokenizer(dir, flags.addTokens);
  // a model with spare rows keeps its own
  const needed = added && added.vocabSize > vocabSize ? `${added.vocabSize}` : undefined;
  const { options, notes } = parseGrowth(
    {
      width,
      layers,
      heads,
      "kv-heads": flags.kvHeads,
      "head-dim": flags.headDim,
      mlp,
      vocab: flags.vocab ?? needed,
      experts: flags.experts,
      "experts-per-token": flags.expertsPerToken,
      method,
      "depth-method": depthMethod,
      positions,
      "noise-db": noise === false ? null : noiseDb,
      "ligo-steps": ligoSteps,
      "ligo-lr": ligoLr,
    },
    parent.config,
  );
  if (added) {
    const vocab = options.vocab ?? vocabSize;
    if (vocab < added.vocabSize) {
      throw new UsageError({
        code: "vocabulary",
        where: "--vocab",
        expected: `at least ${added.vocabSize}, for the tokens of ${flags.addTokens}`,
        got: String(vocab),
      });
    }
    notes.push(`tokenizer.json has ${added.vocabSize} tokens, the model ${vocab} rows for them`);
  }
  if (context.dryRun) {
    const map = plannedMap(parent.config, options, createRng("dry run"));
    print(context, { map, notes, out: context.out ?? "" });
    return;
  }
  const { ligo } = options;
  const { learningText, tokensBeside } = await import("./learning-text.ts");
  const learnt = ligo && (await learningText(dir, parent.config, flags.text, ligo.steps));
  const out = claimFolder({ out: context.out, force: context.force, marker: "map.json" });
  const { backend = "auto", threads, seed = 0, progress } = context;
  await useBackend(backend, { threads });
  const rng = createRng(`seed ${seed}`).fork("expand");
  progress.update({ label: "expanding", done: null });
  const onStep = ({ step, loss }: LearnStep): void =>
    progress.update({
      label: "learning to grow",
      done: step / (ligo?.steps ?? step),
      fields: { step, loss },
    });
  const { child, map } = await expandModel(parent, options, rng, learnt && { ...learnt, onStep });
  const tokens = learnt
    ? tokensBeside(learnt)
    : await measuringTokens(dir, parent.config, flags.text, map, rng.fork("tokens"));
  const { ids, nSeq: batch } = tokens.measured;
  progress.update({ label: "measuring exactness", done: null });
  const [small, big] = [placeModel(parent), placeModel(child)];
  const fitted = tokens.fit
    ? await fitMaps(small, big, map, { fit: tokens.fit, heldOut: tokens.heldOut })
    : map;
  const exactness = await measureExactness(small, big, fitted, ids, batch);
  const symmetry = await measureSymmetry(big, fitted, ids, batch);
  small.dispose();
  big.dispose();
  await writeFolder(out, (folder) => {
    saveModel(folder, child);
    for (const name of tokenizerFiles) {
      if (existsSync(join(dir, name))) copyFileSync(join(dir, name), join(folder, name));
    }
    if (added) writeJsonAtomic(join(folder, "tokenizer.json"), added.json);
    writeMap(folder, { ...fitted, exactness });
  });
  const said = [...notes, ...tokens.notes];
  for (const note of said) progress.log(note);
  print(context, { map: fitted, notes: said, out, exactness, ...symmetry });
}

/** The tokenizer at `dir` with the tokens of a file. Errors: UsageError naming file or token. */
function grownTokenizer(dir: string, source: string): GrownTokenizer {
  const where = join(dir, "tokenizer.json");
  return addTokens(readJson(where), readTokenNames(source), { where, source });
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
  const tokens =
    parent.vocab_size === child.vocab_size ? () => "" : (n?: number) => `${n} tokens, `;
  const describe = ({ n_head, n_kv_head, d_head, ...size }: SizeInfo): string => {
    const shared = n_kv_head === undefined ? "" : ` (${n_kv_head} of keys)`;
    const heads = `${n_head} heads${shared} of ${d_head ?? size.d_model / n_head}`;
    const neurons =
      size.n_expert === undefined
        ? `${size.d_mlp} neurons`
        : `${size.n_expert} experts of ${size.d_mlp} neurons (${size.n_expert_per_token} a token)`;
    return `${size.n_layer} layers × ${size.d_model}, ${heads}, ${neurons}, ${tokens(size.vocab_size)}${formatNumber(size.params)} parameters`;
  };
  const r2 = map.hooks.flatMap((hook) => hook.r2 ?? []);
  const fit_r2 = r2.length === 0 ? null : Math.min(...r2);
  const rows: Row[] = [
    ["parent", describe(parent)],
    ["child", describe(child)],
    ["method", map.exact ? map.method : `${map.method}, not exact`],
    ...notes.map((note): Row => ["note", note]),
  ];
  if (map.learned) {
    const { loss, held_out_tokens } = map.learned;
    rows.push(
      ["held-out loss of the parent", loss.parent],
      ["grown, before learning", loss.start],
      ["grown, after learning", loss.learned],
      ["of that size, fresh weights", loss.scratch],
      ["held-out tokens", held_out_tokens],
    );
  }
  if (exactness) {
    rows.push(
      ["largest difference of a logit", exactness.max_abs_dlogit],
      ["KL", exactness.kl],
      ["loss", lossRow(exactness)],
      ["residual identity", Math.max(...exactness.boundaries.map(({ rel_err }) => rel_err))],
      ["energy off the image", off_image],
      ...(map.exact ? [] : [["hooks that are not exact", inexactRow(map, r2)] satisfies Row]),
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
      fit_r2,
      learned: map.learned ?? null,
      out,
      notes,
    },
    rows,
  );
}

function lossRow({ loss_parent, loss_child }: Exactness): string {
  if (loss_parent === null || loss_child === null) return "not measured";
  const jump = loss_child - loss_parent;
  return `${formatNumber(loss_parent)} → ${formatNumber(loss_child)} nats (${jump < 0 ? "−" : "+"}${formatNumber(Math.abs(jump))})`;
}

function inexactRow({ hooks }: ExpansionMap, r2: readonly number[]): string {
  const fits =
    r2.length === 0 ? "no map fitted" : `maps fitted, lowest R² ${formatNumber(Math.min(...r2))}`;
  return `${hooks.filter(({ exact }) => !exact).length} of ${hooks.length}, ${fits}`;
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

/** @file `expand`: grows a Hugging Face checkpoint, measures how exact that came out, writes child and map. */
import { copyFileSync, existsSync } from "node:fs";
import { join } from "node:path";
import { addTokens, type GrownTokenizer, readTokenNames } from "../../src/data/index.ts";
import { createRng, tf, useBackend } from "../../src/engine/index.ts";
import {
  copySpread,
  type Exactness,
  type ExpansionMap,
  expandCheckpoint,
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
import { type FloatDtype, readJson, UsageError, writeJsonAtomic } from "../../src/io/index.ts";
import {
  activationsAt,
  blockHook,
  hookWidth,
  type Model,
  modelSizes,
  openCheckpoint,
  placeCheckpoint,
} from "../../src/models/index.ts";
import type { Context } from "../context.ts";
import { claimFolder, writeFolder } from "../out-folder.ts";
import { formatBytes, formatDuration, formatNumber, type Row } from "../output.ts";
import { type ExpandCost, expandCost, freeMemory } from "./expand-cost.ts";
import { measuredTokens, measuringTokens } from "./measuring-tokens.ts";

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
  /** What the child's numbers are stored as. */
  readonly dtype?: StoredAs;
  /** Bytes of a weight file. */
  readonly shardSize?: number;
  /** False under --no-check. */
  readonly check?: boolean;
  readonly ligoSteps?: number;
  readonly ligoLr?: number;
  /** Hooks, separated by commas. */
  readonly fitAt?: string;
}

type StoredAs = "f32" | "f16" | "bf16";

const tokenizerFiles = ["tokenizer.json", "tokenizer_config.json"];

/** Grows the checkpoint at `dir` into --out. Errors: UsageError naming file or flag. */
export async function expand(dir: string, flags: ExpandFlags, context: Context): Promise<void> {
  const { width, layers, heads, mlp, method, depthMethod, positions, noiseDb, noise } = flags;
  const { ligoSteps, ligoLr } = flags;
  const parent = openCheckpoint(dir);
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
  const fitAt = flags.fitAt?.split(",").map((hook) => hook.trim()) ?? [];
  for (const hook of fitAt) hookWidth(parent.config, hook); // refuses what the model does not have
  const { ligo } = options;
  const dtype = (flags.dtype ?? "f32").toUpperCase() as FloatDtype;
  const planned = plannedMap(parent.config, options, createRng("sizes"));
  const cost = (isChecked: boolean): ExpandCost =>
    expandCost(planned.parent, planned.child, {
      dtype,
      largestBytes: parent.largestBytes,
      measuredTokens: isChecked ? measuredTokens : 0,
      inMemory: ligo !== undefined,
    });
  const free = freeMemory();
  const isChecked = flags.check !== false && cost(true).memory_bytes <= free;
  if (flags.check !== false && !isChecked) {
    const [needed, there] = [cost(true).memory_bytes, free].map(formatBytes);
    notes.push(
      `parent and child are not compared: that takes ${needed} of memory, ${there} are free`,
    );
  }
  if (context.dryRun) {
    print(context, { map: planned, notes, out: context.out ?? "", dtype, cost: cost(isChecked) });
    return;
  }
  const { learningText, tokensBeside } = await import("./learning-text.ts");
  const learnt = ligo && (await learningText(dir, parent.config, flags.text, ligo.steps));
  const out = claimFolder({ out: context.out, force: context.force, marker: "map.json" });
  const { backend = "auto", threads, seed = 0, progress } = context;
  const rng = createRng(`seed ${seed}`).fork("expand");
  const tokens = learnt
    ? tokensBeside(learnt)
    : await measuringTokens(dir, parent.config, flags.text, planned, rng.fork("tokens"));
  const start = performance.now();
  await useBackend(backend, { threads });
  const onStep = ({ step, loss }: LearnStep): void =>
    progress.update({
      label: "learning to grow",
      done: step / (ligo?.steps ?? step),
      fields: { step, loss },
    });
  const measured: { map: ExpansionMap; symmetry?: Symmetry } = { map: planned };
  await writeFolder(out, async (folder) => {
    progress.update({ label: "expanding", done: null });
    measured.map = await expandCheckpoint(parent, folder, options, rng, {
      dtype,
      maxShardBytes: flags.shardSize,
      text: learnt && { ...learnt, onStep },
      onProgress: (done) => progress.update({ label: "expanding", done }),
    });
    for (const name of tokenizerFiles) {
      if (existsSync(join(dir, name))) copyFileSync(join(dir, name), join(folder, name));
    }
    if (added) writeJsonAtomic(join(folder, "tokenizer.json"), added.json);
    if (isChecked) {
      progress.update({ label: "measuring exactness", done: null });
      const { ids, nSeq: batch } = tokens.measured;
      // as it was written: what rounding to --dtype costs is in the figures
      const [small, big] = [parent, openCheckpoint(folder)].map(placeCheckpoint);
      const fitted = tokens.fit
        ? await fitMaps(
            small,
            big,
            measured.map,
            { fit: tokens.fit, heldOut: tokens.heldOut },
            // sums and what they are solved in take as much again, twice
            { hooks: fitAt, mapBytes: Math.min(2 ** 30, (free - cost(true).memory_bytes) / 3) },
          )
        : measured.map;
      const exactness = await measureExactness(small, big, fitted, ids, batch);
      measured.map = { ...fitted, exactness };
      measured.symmetry = await measureSymmetry(big, fitted, ids, batch);
      small.dispose();
      big.dispose();
    }
    writeMap(folder, measured.map);
  });
  const said = [...notes, ...(isChecked ? tokens.notes : [])];
  if (isChecked && dtype !== "F32") {
    said.push(`logits are compared with the child as stored: ${flags.dtype} rounding is in them`);
  }
  for (const note of said) progress.log(note);
  const took: ExpandCost = {
    bytes: cost(isChecked).bytes,
    memory_bytes: 1024 * process.resourceUsage().maxRSS,
    seconds: (performance.now() - start) / 1000,
  };
  print(context, { map: measured.map, notes: said, out, dtype, cost: took, ...measured.symmetry });
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
  readonly dtype: FloatDtype;
  /** Estimated under --dry-run, else measured. */
  readonly cost: ExpandCost;
  readonly off_image?: number | null;
  readonly copy_spread?: number | null;
}

function print(context: Context, { map, notes, out, dtype, cost, ...rest }: Answer): void {
  const { parent, child, exactness } = map;
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
    ["disk", `${formatBytes(cost.bytes)} as ${dtype.toLowerCase()}`],
    ["memory", formatBytes(cost.memory_bytes)],
    ["time", formatDuration(cost.seconds)],
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
    );
  }
  if (!context.dryRun) rows.push(["out", out]);
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
      dtype: dtype.toLowerCase(),
      ...cost,
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
  const inexact = hooks.filter(({ exact }) => !exact);
  const missing = inexact.filter(({ fit }) => fit === null).length;
  const without = missing > 0 && missing < inexact.length ? `, none at ${missing} of them` : "";
  return `${inexact.length} of ${hooks.length}, ${fits}${without}`;
}

interface Symmetry {
  readonly off_image: number | null;
  readonly copy_spread: number | null;
}

// At the last boundary of the residual stream, where all growth has had its say.
async function measureSymmetry(
  child: Model,
  map: ExpansionMap,
  ids: Int32Array,
  batch: number,
): Promise<Symmetry> {
  const entry = hookEntry(map, blockHook(map.parent.n_layer - 1, "hook_resid_post"));
  if (!entry) return { off_image: null, copy_spread: null };
  const activations = tf.tidy(() => activationsAt(child, ids, batch, entry.to[0]));
  const off_image = await offImageEnergy(map, entry.tensor, activations);
  const copy_spread = await copySpread(map, entry.tensor, activations);
  activations.dispose();
  return { off_image, copy_spread };
}

/**
 * @file `compare`: which latents of one SAE are in another, of any origin: two seeds, two checkpoints, a model and its
 * grown or fine-tuned child. The activations come from models and a text, or from dumps; directions go through a
 * written expansion map, as they are, or through a map fitted on the rows.
 */
import { basename, resolve } from "node:path";
import {
  type ActivationRows,
  type ArmInput,
  type ArmRole,
  comparePersistence,
  type EncodedRows,
  encodeRows,
  type Frame,
  identityFrame,
  type PairedRows,
  type PersistenceDocument,
  pairRows,
  persistenceColumns,
  readSaeFolder,
  requireHook,
  type Sae,
  writtenWidth,
} from "../../sae/index.ts";
import { createRng, useBackend } from "../../src/engine/index.ts";
import { readMap } from "../../src/expansion/index.ts";
import { UsageError, writeArrowTable, writeJsonAtomic } from "../../src/io/index.ts";
import type { Context } from "../context.ts";
import { claimFolder, writeFolder } from "../out-folder.ts";
import { formatBytes, formatNumber, type Row } from "../output.ts";
import { evalDefaults } from "../plan/defaults.ts";
import { type Between, hookThrough, mapBetween } from "./compare-map.ts";
import { openSources, type SourceFlags } from "./compare-sources.ts";

/** Flags of `compare`. */
export interface CompareFlags extends SourceFlags {
  readonly hookA?: string;
  readonly hookB?: string;
  readonly expansion?: string;
  readonly map?: "same" | "fit";
  readonly freshParent?: readonly string[];
}

interface NamedSae {
  readonly name: string;
  readonly dir: string;
  readonly sae: Sae;
}

/** A fitted map that explains less of the variance makes cosines through it doubtful. */
const leastR2 = 0.5;

/**
 * Compares the SAE in `dirs[0]` with that in `dirs[1]`; further ones read what the second reads, as witnesses. Errors:
 * UsageError naming file or flag.
 */
export async function compare(
  dirs: readonly string[],
  flags: CompareFlags,
  context: Context,
): Promise<void> {
  const { backend = "auto", threads, seed = 0, progress } = context;
  const expansion = flags.expansion === undefined ? null : readMap(flags.expansion);
  const a = readNamed(dirs[0], flags.hookA);
  const b = readNamed(dirs[1], flags.hookB, hookThrough(expansion, a.sae));
  const fresh = dirs.slice(2).map((dir) => readNamed(dir, b.sae.cfg.hook_name));
  const freshParents = (flags.freshParent ?? []).map((dir) => readNamed(dir, a.sae.cfg.hook_name));
  const claimed = context.out !== undefined && !context.dryRun;
  const out = claimed ? claimFolder({ ...context, marker: "persistence.json" }) : null;
  await useBackend(backend, { threads });
  const sources = await openSources(flags, a, b, seed);
  try {
    for (const other of [a, ...freshParents]) checkWidth(sources.a, other);
    for (const other of [b, ...fresh]) checkWidth(sources.b, other);
    progress.update({ label: "pairing rows", done: null });
    const all = [a, b, ...fresh, ...freshParents];
    const firstTokensExcluded = Math.max(...all.map(({ sae }) => sae.cfg.first_tokens_excluded));
    const pairs = pairRows(sources.a, sources.b, { firstTokensExcluded });
    const random = sources.random && pairRows(sources.a, sources.random, { firstTokensExcluded });
    if (random && random.n !== pairs.n) throw otherRows(sources.random, pairs.n, random.n);
    if (context.dryRun) {
      printCosts(context, a, b, all, pairs);
      return;
    }
    progress.update({ label: "encoding", done: null });
    const onA = await encodeRows(saesOf(a, freshParents), pairs.a());
    const onB = await encodeRows(saesOf(b, fresh), pairs.b());
    const wish = { expansion, map: flags.map, isShared: sources.isShared };
    const between = await mapBetween(wish, a.sae, b.sae, pairs);
    progress.update({ label: "comparing", done: null });
    const { document, rows } = await comparePersistence({
      stage: b.name,
      name: a.name,
      parent: { ...dictionary(a.sae, onA[0]), lineage: null },
      arms: [
        arm("carried", b, onB[0], between.frame, 0),
        ...fresh.map((other, i) => arm("fresh", other, onB[i + 1], between.frame, i + 1)),
        ...freshParents.map((other, i) =>
          arm("fresh-parent", other, onA[i + 1], identityFrame, i + 1),
        ),
      ],
      sequenceLength: pairs.sequenceLength,
      probes: {
        parent: { dIn: sources.a.dIn, blocks: pairs.a() },
        child: { dIn: sources.b.dIn, blocks: pairs.b() },
        random: random && { dIn: sources.b.dIn, blocks: random.b() },
      },
      curves: null,
      off_image: null,
      copy_spread: null,
      rng: createRng(`seed ${seed}`).fork("compare"),
      options: { minFirings: evalDefaults.min_firings, replicates: evalDefaults.bootstrap },
    });
    const answer: ComparedDocument = {
      ...document,
      warnings: [...document.warnings, ...warningsOf(between, pairs, random !== null)],
      compared: {
        a: a.dir,
        b: b.dir,
        hook_a: sources.a.hook,
        hook_b: sources.b.hook,
        map: between.kind,
        r2: between.r2,
        unpaired_a: pairs.unpaired.a,
        unpaired_b: pairs.unpaired.b,
      },
    };
    if (out !== null) {
      await writeFolder(out, (folder) => {
        writeJsonAtomic(`${folder}/persistence.json`, answer);
        writeArrowTable(`${folder}/persistence.arrow`, persistenceColumns(rows), {
          "sae_carry.format": "sae-carry/persistence",
          "sae_carry.version": "1",
          "sae_carry.stage": b.name,
          "sae_carry.sae": a.name,
        });
      });
    }
    context.print(answer, answerRows(answer, out));
  } finally {
    sources.dispose();
  }
}

/** What `compare` prints: persistence.json, and what was compared. */
export interface ComparedDocument extends PersistenceDocument {
  readonly compared: {
    readonly a: string;
    readonly b: string;
    readonly hook_a: string;
    readonly hook_b: string;
    readonly map: Between["kind"];
    readonly r2: number | null;
    readonly unpaired_a: number;
    readonly unpaired_b: number;
  };
}

/** An SAE of any known library; `usualHook` is its hook where nothing tells. */
function readNamed(dir: string, hook: string | undefined, usualHook?: string): NamedSae {
  const { sae } = readSaeFolder(dir, { hook, usualHook });
  requireHook(sae, dir);
  return { name: basename(resolve(dir)), dir, sae };
}

function saesOf(first: NamedSae, others: readonly NamedSae[]): Sae[] {
  return [first, ...others].map(({ sae }) => sae);
}

function dictionary(sae: Sae, { codes }: EncodedRows) {
  const { cfg, W_dec, W_enc } = sae;
  return { codes, d_in: cfg.d_in, d_out: writtenWidth(sae), W_dec, W_enc };
}

function arm(
  role: ArmRole,
  { name, sae }: NamedSae,
  encoded: EncodedRows,
  frame: Frame,
  seed: number,
): ArmInput {
  const { l0, fvu } = encoded;
  const measured = { l0, fvu, ce_loss_score_zero: null };
  const origin = { role, arm: name, sae: name, seed, frame, start: null, lineage: null };
  return { ...dictionary(sae, encoded), ...origin, ...measured };
}

function checkWidth({ where, hook, dIn }: ActivationRows, { dir, sae }: NamedSae): void {
  if (dIn === sae.cfg.d_in) return;
  throw new UsageError({
    code: "wrong-activations",
    where,
    expected: `${sae.cfg.d_in} numbers a token at ${hook}, which the SAE ${dir} reads`,
    got: String(dIn),
  });
}

function otherRows(random: ActivationRows | null, expected: number, got: number): UsageError {
  return new UsageError({
    code: "missing-rows",
    where: random?.where ?? "--activations-random",
    expected: `the ${expected} rows that both sides share`,
    got: `${got} of them`,
  });
}

function warningsOf({ kind, r2 }: Between, { unpaired }: PairedRows, hasNull: boolean): string[] {
  const warnings: string[] = [];
  if (kind === "fitted") {
    const explained = r2 === null ? "" : ` and explains ${(100 * r2).toFixed(1)}% of the variance`;
    warnings.push(`the map between the hooks was fitted on these rows${explained}`);
  }
  if (r2 !== null && r2 < leastR2) {
    warnings.push(
      "the map explains little: cosines through it say little, correlations still hold",
    );
  }
  if (unpaired.a + unpaired.b > 0) {
    warnings.push(
      `${unpaired.a} rows of the first and ${unpaired.b} of the second have no partner`,
    );
  }
  if (!hasNull) {
    warnings.push(
      "no activations of random weights: probes have no null, so that they are no witness",
    );
  }
  return warnings;
}

function answerRows(answer: ComparedDocument, out: string | null): Row[] {
  const { counts, compared, persisted, eligible, tokens, cells } = answer;
  const interval = (ci: readonly [number, number] | null | undefined): string =>
    ci ? ` [${formatNumber(ci[0])}, ${formatNumber(ci[1])}]` : "";
  const share = ({ value, ci }: { value: number | null; ci: readonly [number, number] | null }) =>
    value === null ? null : `${formatNumber(value)}${interval(ci)}`;
  return [
    ["rows compared", tokens],
    ["map", compared.map === "same" ? "none: one frame" : compared.map],
    ...(compared.r2 === null ? [] : [["its R²", compared.r2] satisfies Row]),
    ["latents judged", eligible],
    ["persisted", share(persisted)],
    ["same function", cells.CG && share({ value: cells.CG.function, ci: cells.CG.ci })],
    ...Object.entries(counts).map(([verdict, n]): Row => [`  ${verdict.replace(/_/g, " ")}`, n]),
    ...answer.warnings.map((warning): Row => ["note", warning]),
    ...(out === null ? [] : [["out", out] satisfies Row]),
  ];
}

function printCosts(
  context: Context,
  a: NamedSae,
  b: NamedSae,
  all: readonly NamedSae[],
  { n, unpaired }: PairedRows,
): void {
  // index and value of each active latent, by row and again by latent; probes' sums in f64
  const codes = all.reduce((sum, { sae }) => sum + n * (sae.cfg.k ?? sae.cfg.d_in / 8) * 16, 0);
  const sums = 8 * [a, b].reduce((sum, { sae }) => sum + sae.cfg.d_in ** 2, 0) * 2;
  const targets = 8 * 6 * (a.sae.cfg.d_sae + b.sae.cfg.d_sae) * b.sae.cfg.d_in;
  const bytes = Math.round(codes + sums + targets);
  context.print(
    {
      format: "sae-carry/compare-cost",
      version: 1,
      rows: n,
      unpaired_a: unpaired.a,
      unpaired_b: unpaired.b,
      memory_bytes: bytes,
    },
    [
      ["rows compared", n],
      ["latents", `${a.sae.cfg.d_sae} and ${b.sae.cfg.d_sae}`],
      ["memory, about", formatBytes(bytes)],
    ],
  );
}

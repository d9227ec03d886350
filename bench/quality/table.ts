/** The lines of the quality benchmark and the table that docs/quality.md makes of them. */
import type { Compared, Library, QualitySizes } from "./settings.ts";

/** What is measured of one trained SAE on held-out rows. */
export interface QualityFigures {
  /** As saved. */
  readonly fvu: number;
  readonly l0: number;
  /** Share of latents that never fire. */
  readonly dead: number;
  /** The factor on the thresholds at which L0 is k, and the FVU there; null where none in [1/4, 4] is. */
  readonly factor: number | null;
  readonly fvu_at_k: number | null;
}

/** One trained SAE. */
export interface QualityLine extends QualityFigures {
  /** quality-<architecture>. */
  readonly name: string;
  readonly hook: string;
  readonly library: Library;
  /** `search`: a candidate on seed 0; the others are the figures. */
  readonly mode: "defaults" | "tuned" | "search";
  readonly label: string;
  readonly seed: number;
  readonly sizes: QualitySizes;
  /** SHA-256 of the training and held-out rows. */
  readonly data: string;
  readonly seconds: number;
  readonly versions: string;
  readonly threads: number;
  readonly backend: string;
  readonly machine: string;
}

const titles: Readonly<Record<Compared, string>> = {
  topk: "TopK",
  batchtopk: "BatchTopK",
  jumprelu: "JumpReLU",
};

const names: Readonly<Record<Library, string>> = {
  ours: "sae-carry",
  saelens: "SAELens",
  sparsify: "sparsify",
  dictionary_learning: "dictionary_learning",
};

/** A table for each hook and size: mean FVU at L0 = k over the seeds, its range, and ours over the best of the others. */
export function qualityTable(lines: readonly QualityLine[]): string {
  const settings = new Map(
    lines.map((line) => [JSON.stringify([line.hook, line.sizes, line.data]), line] as const),
  );
  const versions = [...new Set(lines.map((line) => line.versions))].join("; ");
  const machines = [...new Set(lines.map((line) => line.machine))].join("; ");
  const parts = [...settings.values()].map(({ hook, sizes, data }) => {
    const here = lines.filter(
      (line) =>
        line.hook === hook &&
        line.data === data &&
        JSON.stringify(line.sizes) === JSON.stringify(sizes),
    );
    return [
      `\`${hook}\`, ${sizes.d_in} wide, ${sizes.d_sae} latents, L0 ${sizes.k}, ${sizes.steps} steps of ${sizes.batch} tokens:`,
      "",
      "| architecture | library | as it comes | tuned | tuned settings | seeds | L0 as saved | dead | ours ÷ best of the others, as they come and tuned |",
      "|---|---|---|---|---|---|---|---|---|",
      ...(["topk", "batchtopk", "jumprelu"] as const).flatMap((kind) => tableRows(kind, here)),
    ].join("\n");
  });
  return [`${versions}. ${machines}.`, ...parts].join("\n\n");
}

function tableRows(kind: Compared, lines: readonly QualityLine[]): string[] {
  const of = (library: Library, mode: QualityLine["mode"]): QualityLine[] =>
    lines.filter((l) => l.name === `quality-${kind}` && l.library === library && l.mode === mode);
  /**
   * The seeds of the candidate that the search liked best: lines of a smaller grid may have others. Where no seed after the
   * search was measured, the best that the search found.
   */
  const tunedOf = (library: Library): QualityLine[] => {
    const measured = of(library, "tuned");
    const found = of(library, "search")
      .filter(({ fvu_at_k }) => fvu_at_k !== null)
      .sort((a, b) => (a.fvu_at_k as number) - (b.fvu_at_k as number));
    if (measured.length === 0) return found.slice(0, 1);
    const labels = [...found, ...measured].map(({ label }) => label);
    const chosen = labels.find((label) => measured.some((line) => line.label === label));
    return measured.filter(({ label }) => label === chosen);
  };
  const libraries = (Object.keys(names) as Library[]).filter((l) => tunedOf(l).length > 0);
  /** Ours over the best of the others; the mean over the seeds of an SAE that misses the L0 is none. */
  const ratio = (mode: "defaults" | "tuned"): string => {
    const lines = (l: Library): QualityLine[] => (mode === "tuned" ? tunedOf(l) : of(l, mode));
    const others = libraries.filter((l) => l !== "ours").map((l) => meanFvu(lines(l)));
    const best = Math.min(...others.filter(Number.isFinite));
    const value = meanFvu(lines("ours")) / best;
    return value > 0 ? value.toFixed(3) : "–";
  };
  return libraries.map((library, i) => {
    const tuned = tunedOf(library);
    const seeds = tuned[0].mode === "search" ? "the search's" : String(tuned.length);
    return `| ${[
      i === 0 ? titles[kind] : "",
      names[library],
      spread(of(library, "defaults")),
      spread(tuned),
      tuned[0].label,
      seeds,
      mean(tuned.map(({ l0 }) => l0)).toFixed(2),
      `${(100 * mean(tuned.map(({ dead }) => dead))).toFixed(1)}%`,
      library === "ours" ? `${ratio("defaults")}, tuned **${ratio("tuned")}**` : "",
    ].join(" | ")} |`;
  });
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** NaN of none and Infinity where one doesn't reach the L0. */
function meanFvu(lines: readonly QualityLine[]): number {
  return mean(lines.map(({ fvu_at_k }) => fvu_at_k ?? Number.POSITIVE_INFINITY));
}

function spread(lines: readonly QualityLine[]): string {
  const found = lines.flatMap(({ fvu_at_k }) => (fvu_at_k === null ? [] : [fvu_at_k]));
  if (found.length === 0) return "–";
  const [low, high] = [Math.min(...found), Math.max(...found)];
  return `${mean(found).toFixed(4)} (${low.toFixed(4)} to ${high.toFixed(4)})`;
}

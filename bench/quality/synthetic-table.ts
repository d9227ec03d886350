/** The lines of the benchmark on known features and the table that docs/quality.md makes of them. */
import { architectures, type SaeArchitecture } from "../../sae/index.ts";
import type { QualitySizes } from "./settings.ts";

/** One SAE trained on known features. */
export interface SyntheticLine {
  /** synthetic-<architecture>. */
  readonly name: string;
  readonly library: "ours" | "saelens";
  readonly label: string;
  /** 0: a candidate; the figures are of the others. */
  readonly seed: number;
  readonly sizes: QualitySizes & { readonly features: number };
  readonly fvu: number;
  readonly l0: number;
  readonly dead: number;
  /** Mean |cosine| of the best one-to-one matching of decoder rows with features. */
  readonly mcc: number;
  /** Mean over latents, each as a classifier of the feature nearest to it. */
  readonly f1: number;
  readonly versions: string;
  readonly threads: number;
  readonly backend: string;
  readonly machine: string;
}

const order = [
  "topk",
  "batchtopk",
  "matryoshka_batchtopk",
  "jumprelu",
  "gated",
  "standard",
] as const satisfies readonly SaeArchitecture[];

/** A table for each setting: L0, MCC and F1 of both sides, means over the seeds with their range. */
export function syntheticTable(lines: readonly SyntheticLine[]): string {
  const settings = [...new Set(lines.map(({ sizes }) => JSON.stringify(sizes)))];
  return settings
    .map((key) => {
      const { d_in, d_sae, features, k, steps, batch } = JSON.parse(key) as SyntheticLine["sizes"];
      const of = (architecture: SaeArchitecture, library: SyntheticLine["library"]) =>
        lines.filter(
          (line) =>
            JSON.stringify(line.sizes) === key &&
            line.name === `synthetic-${architecture}` &&
            line.library === library &&
            line.seed > 0,
        );
      const rows = order
        .filter((name) => of(name, "ours").length > 0 && of(name, "saelens").length > 0)
        .map((name) => {
          const cells = (["l0", "mcc", "f1"] as const).flatMap((figure) =>
            (["ours", "saelens"] as const).map((library) =>
              spread(
                of(name, library).map((line) => line[figure]),
                figure === "l0" ? 1 : 3,
              ),
            ),
          );
          return `| ${architectures[name].title} | ${cells.join(" | ")} |`;
        });
      return [
        `${features} features in ${d_in} dimensions, ${k} firing on average, ${d_sae} latents, ${steps} steps of ${batch} rows:`,
        "",
        "| | L0, ours | L0, SAELens | MCC, ours | MCC, SAELens | F1, ours | F1, SAELens |",
        "|---|---|---|---|---|---|---|",
        ...rows,
      ].join("\n");
    })
    .join("\n\n");
}

function spread(values: readonly number[], digits: number): string {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  if (digits === 1) return mean.toFixed(1);
  return `${mean.toFixed(digits)} (${Math.min(...values).toFixed(digits)} to ${Math.max(...values).toFixed(digits)})`;
}

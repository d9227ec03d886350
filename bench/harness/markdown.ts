/** The measured tables of docs/performance.md, each between two marks that stay. */
import type { BenchLine } from "./line.ts";

/** `text` with the table between its marks replaced. Errors: the marks aren't both there, in order. */
export function withTable(text: string, table: string, name = "bench table"): string {
  const [begin, end] = [`<!-- ${name} -->`, `<!-- /${name} -->`];
  const from = text.indexOf(begin);
  const to = text.indexOf(end);
  if (from < 0 || to < from) throw new Error(`expected ${begin} and ${end}, in this order`);
  return `${text.slice(0, from + begin.length)}\n\n${table}\n\n${text.slice(to)}`;
}

/** What the peer that measures a case's floor is named by. */
export const floorName = "floor: encoder product and Adam in PyTorch";

/**
 * A line for each machine, a table of all lines, and one of SAE steps against their floor; of lines for the same pair
 * the last one counts.
 */
export function markdownTable(lines: readonly BenchLine[]): string {
  const latest = new Map(lines.map((line) => [`${line.name} ${line.peer_name}`, line]));
  const kept = [...latest.values()];
  const machines = [
    ...new Set(
      kept.map(({ machine, threads, backend }) => `${machine}; ${threads} threads, \`${backend}\``),
    ),
  ];
  const rows = kept.map((line, i) => {
    const isNew = kept[i - 1]?.name !== line.name;
    return `| ${[
      isNew ? `\`${line.name}\`` : "",
      isNew ? `${shown(line.ours)} ${line.unit}` : "",
      `${line.peer_name}, ${line.peer_version}`,
      `${shown(line.peer)} ${line.unit}`,
      `**${line.ratio.toFixed(2)}** (${line.spread.map((r) => r.toFixed(2)).join(" to ")})`,
      String(line.repeats),
      isNew ? megabytes(line.peak_mb, line.rest_mb) : "",
      megabytes(line.peer_peak_mb, line.peer_rest_mb),
    ].join(" | ")} |`;
  });
  return [
    ...machines.map((machine) => `Measured on: ${machine}.`),
    "",
    "| benchmark | ours | peer | peer's | ratio (quartiles) | rounds | our memory, MB | peer's, MB |",
    "|---|---|---|---|---|---|---|---|",
    ...rows,
    ...floorTable(kept),
  ].join("\n");
}

/** Where an SAE step's time goes as far as other benchmarks of the same sizes tell; nothing without them. */
function floorTable(lines: readonly BenchLine[]): string[] {
  const rows = lines.flatMap((line) => {
    const { d_in, d_sae, batch } = line.sizes;
    const products = lines.filter(({ name }) => name === `gemm-${batch}x${d_in}x${d_sae}`);
    if (line.peer_name !== floorName || products.length === 0) return [];
    const gflop = (2 * batch * d_in * d_sae) / 1e9;
    const own = (gflop / products[0].ours) * 1000;
    const best = (gflop / Math.max(...products.flatMap(({ ours, peer }) => [ours, peer]))) * 1000;
    return `| \`${line.name}\` | ${[
      line.ours,
      own,
      line.ours - own,
      best,
      line.peer - best,
      line.peer,
    ]
      .map(shown)
      .join(" | ")} | **${(1 / line.ratio).toFixed(2)}** |`;
  });
  if (rows.length === 0) return [];
  return [
    "",
    "SAE steps against their floor, in ms:",
    "",
    "| benchmark | our step | its encoder product alone, ours | all the rest of our step | the product, fastest measured | Adam | floor: product + Adam | our step ÷ floor |",
    "|---|---|---|---|---|---|---|---|",
    ...rows,
  ];
}

function shown(value: number): string {
  if (value >= 1000) return Math.round(value).toLocaleString("en");
  return String(Number(value.toPrecision(3)));
}

function megabytes(peak: number | null, rest: number | null): string {
  if (peak === null || rest === null) return "–";
  return `${peak.toLocaleString("en")} (${rest.toLocaleString("en")})`;
}

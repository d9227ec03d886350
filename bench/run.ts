/**
 * npm run bench -- [PREFIX…] [options]: runs the benchmarks whose names begin with a prefix and prints a JSON line for
 * each peer; progress goes to stderr. With --markdown the table of docs/performance.md is written from them.
 */
import { readFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";
import { selectCases } from "./cases.ts";
import type { BenchLine } from "./harness/line.ts";
import { markdownTable } from "./harness/markdown.ts";
import { measureCase } from "./harness/measure.ts";
import { writeTable } from "./harness/page.ts";
import { peersPython } from "./harness/sides.ts";

const help = `npm run bench -- [PREFIX…] [options]

  --threads N        threads of every side; default all cores
  --backend NAME     ours; default native
  --rounds N-M       blocks of each side, at least and at most; default 3-9
  --seconds N        about how long the rounds of one benchmark may take; default 10
  --no-peers         only against peers that need no Python
  --markdown         write the table of docs/performance.md from this run's lines
  --from FILE        lines printed earlier, used before this run's (again for more files);
                     with no prefix, nothing is measured
`;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    threads: { type: "string", default: String(availableParallelism()) },
    backend: { type: "string", default: "native" },
    rounds: { type: "string", default: "3-9" },
    seconds: { type: "string", default: "10" },
    "no-peers": { type: "boolean", default: false },
    markdown: { type: "boolean", default: false },
    from: { type: "string", multiple: true, default: [] },
    help: { type: "boolean", short: "h", default: false },
  },
});

if (values.help) {
  process.stdout.write(help);
} else {
  try {
    await main();
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = 1;
  }
}

async function main(): Promise<void> {
  const lines: BenchLine[] = values.from.flatMap(readLines);
  const failures: string[] = [];
  const start = performance.now();
  if (values.from.length === 0 || positionals.length > 0) {
    const python = values["no-peers"] ? null : peersPython();
    const [least, most = least] = values.rounds.split("-").map(Number);
    for (const bench of selectCases(positionals)) {
      try {
        const measured = await measureCase(bench, {
          threads: Number(values.threads),
          backend: values.backend,
          rounds: [least, most],
          seconds: Number(values.seconds),
          blockSeconds: 0.4,
          python,
          progress: (text) => process.stderr.write(`${text}\n`),
        });
        for (const line of measured) process.stdout.write(`${JSON.stringify(line)}\n`);
        lines.push(...measured);
      } catch (error) {
        // the others are still worth measuring
        process.stderr.write(
          `${bench.name} failed: ${error instanceof Error ? error.message : error}\n`,
        );
        failures.push(bench.name);
      }
    }
  }
  process.stderr.write(`took ${Math.round((performance.now() - start) / 1000)} s\n`);
  if (values.markdown) {
    writeTable(markdownTable(lines), "bench table");
  }
  if (failures.length > 0) throw new Error(`failed: ${failures.join(", ")}`);
}

function readLines(path: string): BenchLine[] {
  return readFileSync(path, "utf8")
    .split("\n")
    .filter((line) => line.startsWith("{"))
    .map((line) => JSON.parse(line) as BenchLine);
}

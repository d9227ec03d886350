/**
 * npm run bench:quality -- --run RUN [options]: how well our SAEs are trained beside those of SAELens, sparsify and
 * dictionary_learning, on the same activations and the same budget, by FVU at the same L0 on held-out tokens. Prints a
 * JSON line for each trained SAE; with --markdown the table of docs/quality.md is written from the lines.
 * On seed 0 each library's best settings are looked for; the figures are of the seeds after it. All libraries get the
 * same rates: where the best of one is the largest, twice that is tried for all, at most `extensions` times. Lines of
 * an earlier run on the same activations (--from) are not measured again, so that a run which was cut can go on.
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { type BackendName, useBackend } from "../src/engine/index.ts";
import type { Child, TaskOfSide } from "./harness/child.ts";
import { describeMachine } from "./harness/machine.ts";
import { writeTable } from "./harness/page.ts";
import { peersPython, startPython } from "./harness/sides.ts";
import { type QualityRows, writeRows } from "./quality/activations.ts";
import { trainOurs } from "./quality/ours.ts";
import {
  type Candidate,
  type Compared,
  candidatesAt,
  defaultRates,
  defaultsOf,
  type Library,
  librariesOf,
  type QualitySizes,
} from "./quality/settings.ts";
import { type QualityFigures, type QualityLine, qualityTable } from "./quality/table.ts";

const { values } = parseArgs({
  options: {
    run: { type: "string", default: "runs/demo" },
    hook: { type: "string", default: "blocks.0.hook_resid_post" },
    architectures: { type: "string", default: "topk,batchtopk,jumprelu" },
    libraries: { type: "string", default: "ours,saelens,dictionary_learning,sparsify" },
    "d-sae": { type: "string", default: "512" },
    k: { type: "string", default: "16" },
    batch: { type: "string", default: "1024" },
    steps: { type: "string", default: "400" },
    seeds: { type: "string", default: "3" },
    rates: { type: "string", default: defaultRates.join(",") },
    threads: { type: "string", default: String(availableParallelism()) },
    backend: { type: "string", default: "native" },
    markdown: { type: "boolean", default: false },
    from: { type: "string", multiple: true, default: [] },
  },
});

/** How often the largest rate is doubled for all. */
const extensions = 2;

const folder = mkdtempSync(join(tmpdir(), "sae-carry-quality-"));
const threads = Number(values.threads);
const rates = values.rates.split(",").map(Number);
const lines: QualityLine[] = values.from.flatMap((path) =>
  readFileSync(path, "utf8")
    .split("\n")
    .filter((line) => line.startsWith("{"))
    .map((line) => JSON.parse(line) as QualityLine),
);
try {
  if (!values.markdown) await measureAll();
  else writeTable(qualityTable(lines), "quality table", "quality.md");
} finally {
  rmSync(folder, { recursive: true, force: true });
}

async function measureAll(): Promise<void> {
  await useBackend(values.backend as BackendName, { threads });
  const [batch, steps] = [Number(values.batch), Number(values.steps)];
  const rows = await writeRows(values.run, values.hook, {
    tokens: batch * steps,
    heldTokens: 10_000,
    folder,
  });
  const sizes = {
    ...{ d_in: rows.d_in, d_sae: Number(values["d-sae"]), k: Number(values.k) },
    ...{ batch, steps },
  };
  const peer = startPython("peers", threads, peersPython());
  const task = { task: "quality", variant: "{}", threads, backend: "", sizes: {}, folder };
  const { version } = await peer.load(task);
  for (const architecture of values.architectures.split(",") as Compared[]) {
    await measureArchitecture({ peer, task, rows, sizes, version }, architecture);
  }
  await peer.close();
}

interface Bench {
  readonly peer: Child;
  readonly task: TaskOfSide;
  readonly rows: QualityRows;
  readonly sizes: QualitySizes;
  readonly version: string;
}

/** Looks for every library's best settings on seed 0, then measures them and the defaults on the seeds after it. */
async function measureArchitecture(bench: Bench, architecture: Compared): Promise<void> {
  const { sizes } = bench;
  const libraries = librariesOf(architecture).filter((l) =>
    values.libraries.split(",").includes(l),
  );
  /** The place in the list of the candidate with the lowest FVU on seed 0; −1 where none has an L0 of k. */
  const best = async (library: Library, list: readonly Candidate[]): Promise<number> => {
    if (list.length === 1) return 0;
    const fvus: number[] = [];
    for (const candidate of list) {
      const line = await measure(bench, library, architecture, "search", candidate, 0);
      fvus.push(line.fvu_at_k ?? Number.POSITIVE_INFINITY);
    }
    const least = Math.min(...fvus);
    return Number.isFinite(least) ? fvus.indexOf(least) : -1;
  };
  const at = (library: Library, lr: number): readonly Candidate[] =>
    candidatesAt(library, architecture, sizes, lr);
  const grid = [...rates];
  const places = new Map<Library, number>();
  for (let extended = 0; ; extended++) {
    for (const library of libraries) {
      const first = grid.map((lr) => at(library, lr)[0]);
      places.set(library, await best(library, first));
    }
    const isAtEnd = [...places.values()].includes(grid.length - 1);
    if (!isAtEnd || extended === extensions) break;
    grid.push(2 * grid[grid.length - 1]);
  }
  const chosen = new Map<Library, Record<"tuned" | "defaults", Candidate | undefined>>();
  for (const library of libraries) {
    const tuned = at(library, grid[places.get(library) as number]);
    const defaults = defaultsOf(library, architecture, sizes);
    chosen.set(library, {
      tuned: tuned[await best(library, tuned)],
      defaults: defaults[await best(library, defaults)],
    });
  }
  for (let seed = 1; seed <= Number(values.seeds); seed++) {
    for (const [library, candidates] of chosen) {
      for (const mode of ["tuned", "defaults"] as const) {
        const candidate = candidates[mode];
        if (candidate) await measure(bench, library, architecture, mode, candidate, seed);
      }
    }
  }
}

/** Trains one SAE and prints its line; one that an earlier file has isn't trained again. */
async function measure(
  { peer, task, rows, sizes, version }: Bench,
  library: Library,
  architecture: Compared,
  mode: QualityLine["mode"],
  candidate: Candidate,
  seed: number,
): Promise<QualityLine> {
  const facts = {
    ...{ name: `quality-${architecture}`, hook: values.hook, library, mode },
    ...{ label: candidate.label, seed, sizes, data: rows.sha256 },
  };
  const known = lines.find(
    (line) =>
      JSON.stringify(facts) ===
      JSON.stringify(Object.fromEntries(Object.keys(facts).map((k) => [k, line[k as "name"]]))),
  );
  if (known) return known;
  const start = performance.now();
  const saved = join(folder, "ours");
  if (library === "ours") {
    await trainOurs(rows.train, architecture, candidate, sizes, seed, saved);
  }
  const request = { ...sizes, ...candidate, library, architecture, seed, saved };
  await peer.prepare({ ...task, variant: JSON.stringify(request) });
  const { seconds: _, ...figures } = (await peer.run(1)) as unknown as QualityFigures & {
    seconds: number;
  };
  const line: QualityLine = {
    ...facts,
    ...figures,
    seconds: Math.round((performance.now() - start) / 100) / 10,
    ...{ versions: version, threads, backend: values.backend, machine: describeMachine() },
  };
  lines.push(line);
  process.stdout.write(`${JSON.stringify(line)}\n`);
  const { fvu, l0, fvu_at_k, dead } = line;
  process.stderr.write(
    `${[architecture, library, mode, candidate.label, seed].join(" ")}: fvu ${fvu.toFixed(4)} l0 ${l0.toFixed(2)} at k ${fvu_at_k?.toFixed(4)} dead ${dead.toFixed(3)} ${line.seconds} s\n`,
  );
  return line;
}

/**
 * npm run bench:synthetic: every architecture beside SAELens's on activations with known features (the generator of the
 * test suite, in the manner of SynthSAEBench), same rows, budget and learning rates, in one run. Prints a JSON line for each
 * trained SAE; --markdown writes the table of docs/quality.md from the lines of --from. MCC and F1 are measured for
 * both sides by SAELens's own functions. On seed 0 each side's rate and, for L1 in SAELens, its coefficient are chosen:
 * of those whose L0 is within a fifth of the features' the best MCC; where SAELens has a coefficient and no target, ours
 * is to have the L0 that this leads to, within a twenty-fifth. The figures are of the seeds after it.
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import type { SaeArchitecture } from "../sae/index.ts";
import { type BackendName, useBackend } from "../src/engine/index.ts";
import { syntheticFeatures } from "../test/support/synthetic-features.ts";
import { describeMachine } from "./harness/machine.ts";
import { writeTable } from "./harness/page.ts";
import { peersPython, startPython } from "./harness/sides.ts";
import { writeRaw } from "./ours/raw.ts";
import { trainOurs } from "./quality/ours.ts";
import type { Candidate } from "./quality/settings.ts";
import { oursAt, saelensAt, sweeps, syntheticSettings } from "./quality/synthetic-settings.ts";
import { type SyntheticLine, syntheticTable } from "./quality/synthetic-table.ts";

const { values } = parseArgs({
  options: {
    seeds: { type: "string", default: "3" },
    setting: { type: "string", default: "0" },
    architectures: {
      type: "string",
      default: "topk,batchtopk,matryoshka_batchtopk,jumprelu,gated,standard",
    },
    threads: { type: "string", default: "1" },
    backend: { type: "string", default: "native" },
    markdown: { type: "boolean", default: false },
    from: { type: "string", multiple: true, default: [] },
  },
});

const rates = [1e-3, 4e-3, 1.6e-2, 6.4e-2];
const heldRows = 10_000;

if (values.markdown) {
  const lines = values.from.flatMap((path) =>
    readFileSync(path, "utf8")
      .split("\n")
      .filter((line) => line.startsWith("{"))
      .map((line) => JSON.parse(line) as SyntheticLine),
  );
  writeTable(syntheticTable(lines), "synthetic table", "quality.md");
} else await main();

async function main(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "sae-carry-synthetic-"));
  const threads = Number(values.threads);
  await useBackend(values.backend as BackendName, { threads });
  const peer = startPython("peers", threads, peersPython());
  const task = { task: "quality", variant: "{}", threads, backend: "", sizes: {}, folder };
  try {
    const { version } = await peer.load(task);
    const setting = syntheticSettings[Number(values.setting)];
    const { d_in: d, features, families, d_sae, k, widths, steps, batch } = setting;
    const sizes = { d_in: d, d_sae, k, batch, steps };
    const n = steps * batch;
    const data = syntheticFeatures({
      ...{ d, features, l0: k, rows: n + heldRows, seed: 1 },
      ...(families && { families }),
    });
    const rows = data.rows.slice(0, n * d);
    writeRaw(folder, "rows", rows);
    writeRaw(folder, "held", data.rows.slice(n * d));
    writeRaw(folder, "directions", data.directions);
    writeRaw(folder, "magnitudes", data.magnitudes.slice(n * features));
    for (const architecture of values.architectures.split(",") as SaeArchitecture[]) {
      let goal = k; // the L0 that is asked for
      let within = 0.2;
      for (const library of ["saelens", "ours"] as const) {
        const train = async (candidate: Candidate, seed: number): Promise<SyntheticLine> => {
          const saved = join(folder, "ours");
          if (library === "ours") {
            const own = { ...candidate, widths };
            await trainOurs(rows, architecture, own, sizes, seed, saved);
          }
          const request = { ...sizes, ...candidate, library, architecture, seed, saved, features };
          await peer.prepare({ ...task, variant: JSON.stringify(request) });
          const { seconds: _, ...figures } = (await peer.run(1)) as unknown as Pick<
            SyntheticLine,
            "fvu" | "l0" | "dead" | "mcc" | "f1"
          > & { seconds: number };
          const line: SyntheticLine = {
            ...{ name: `synthetic-${architecture}`, library, label: candidate.label, seed },
            ...{ sizes: { ...sizes, features }, ...figures },
            ...{ versions: version, threads, backend: values.backend, machine: describeMachine() },
          };
          process.stdout.write(`${JSON.stringify(line)}\n`);
          return line;
        };
        const list = rates.flatMap((lr): readonly Candidate[] =>
          library === "saelens"
            ? saelensAt(architecture, lr, setting)
            : oursAt(architecture, lr, setting, goal),
        );
        const tried: { candidate: Candidate; line: SyntheticLine }[] = [];
        for (const candidate of list) tried.push({ candidate, line: await train(candidate, 0) });
        const score = ({ l0, mcc }: SyntheticLine): number =>
          Math.abs(l0 / goal - 1) <= within ? mcc : -Math.abs(Math.log(l0 / goal));
        const best = tried.reduce((a, b) => (score(b.line) > score(a.line) ? b : a));
        for (let seed = 1; seed <= Number(values.seeds); seed++) await train(best.candidate, seed);
        if (library === "saelens" && sweeps(architecture)) [goal, within] = [best.line.l0, 0.04];
      }
    }
  } finally {
    await peer.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

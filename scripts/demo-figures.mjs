// Writes the figures of a finished demo run into the README's table: node scripts/demo-figures.mjs runs/demo
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const run = process.argv[2] ?? "runs/demo";
const read = (...path) => JSON.parse(readFileSync(join(run, ...path), "utf8"));
const stages = readdirSync(join(run, "stages")).sort();
const evals = stages.map((stage) => read("stages", stage, "eval.json"));
const persistence = stages.map((stage, i) =>
  i === 0 ? null : read("stages", stage, "persistence.json"),
);

const fixed = (digits) => (value) =>
  value === null || value === undefined ? "not reported" : value.toFixed(digits);
const two = fixed(2);
const percent = (value) =>
  value === null || value === undefined ? "not reported" : `${(100 * value).toFixed(1)}%`;
const withInterval = (estimate, show) =>
  estimate?.value === null || estimate === undefined
    ? "not reported"
    : `${show(estimate.value)}${estimate.ci ? ` (${estimate.ci.map(show).join(" to ")})` : ""}`;
const perStage = (label, cell) => `| ${label} | ${stages.map((_, i) => cell(i)).join(" | ")} |`;
const compared = (label, cell) =>
  perStage(label, (i) => (persistence[i] ? cell(persistence[i]) : "–"));
const carried = (i) => evals[i].saes.find(({ arm }) => arm === "carried");
const cells = (document) =>
  ["CG", "FG", "CS", "FS", "CP", "FP"]
    .map((name) => (document.cells[name] ? two(document.cells[name].function) : "–"))
    .join(" / ");

const rows = [
  `| | ${stages.join(" | ")} |`,
  `|---|${stages.map(() => "---|").join("")}`,
  perStage("layers × width", (i) => `${evals[i].model.n_layer} × ${evals[i].model.d_model}`),
  perStage("tokens of training, all told", (i) =>
    evals[i].model.tokens_trained.toLocaleString("en"),
  ),
  perStage(`held-out loss, nats per token (unigram: ${two(evals[0].model.unigram_entropy)})`, (i) =>
    two(evals[i].model.held_out_loss),
  ),
  perStage(
    "SAE: L0 / FVU (PCA at that rank)",
    (i) =>
      `${fixed(1)(carried(i).l0)} / ${fixed(3)(carried(i).fvu)} (${fixed(3)(evals[i].pca_fvu)})`,
  ),
  perStage(
    "largest difference of a logit at the expansion",
    (i) => evals[i].exactness?.max_abs_dlogit.toExponential(0) ?? "–",
  ),
  compared("features judged", (p) => p.eligible),
  compared("persisted, with 95% interval", (p) => withInterval(p.persisted, percent)),
  compared("called persisted on random weights", (p) => withInterval(p.reinit_persisted, percent)),
  compared("kept before any training (rule check)", (p) => withInterval(p.start_kept, percent)),
  compared(
    "cosine to its own start ≥ τ: carried / random weights",
    (p) => `${two(p.inertia.carried)} / ${two(p.inertia.reinit)}`,
  ),
  compared("CG / FG / CS / FS / CP / FP", cells),
  compared("inertia-corrected persistence", (p) => withInterval(p.corrected, two)),
  compared("inheritance without any carry", (p) => withInterval(p.inheritance, two)),
  compared("SAE tokens needed, as a share of a fresh SAE's", (p) => two(p.tokens_ratio)),
];

const path = new URL("../README.md", import.meta.url);
const readme = readFileSync(path, "utf8");
const wall = /Wall time[^\n]*/.exec(readme)[0];
const block = `<!-- demo figures -->\n\n${rows.join("\n")}\n\n${wall}\n\n<!-- /demo figures -->`;
writeFileSync(path, readme.replace(/<!-- demo figures -->[\s\S]*<!-- \/demo figures -->/, block));
console.log(rows.join("\n"));

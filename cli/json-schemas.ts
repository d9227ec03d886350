/**
 * @file Every document that a command prints under --json, and those of the run folder that the
 * contract names, as zod, from which docs/json.md is generated; each is in a file of json/. Ratios are
 * fractions, what was not measured or is not finite is null, intervals are [lo, hi].
 */
import type { z } from "zod";
import { bench } from "./json/bench.ts";
import { compare, compareCost } from "./json/compare.ts";
import { doctor } from "./json/doctor.ts";
import { dryRun } from "./json/dry-run.ts";
import { dump } from "./json/dump.ts";
import { evaluate } from "./json/evaluate.ts";
import { expand } from "./json/expand.ts";
import { failure } from "./json/failure.ts";
import { fiveQuestions } from "./json/five-questions.ts";
import { growth } from "./json/growth.ts";
import { history } from "./json/history.ts";
import { inspect } from "./json/inspect.ts";
import { likeness } from "./json/likeness.ts";
import { map } from "./json/map.ts";
import { expandAndTrack, report, train } from "./json/run.ts";
import { carry, conversion } from "./json/sae-folder.ts";

/** A document's schema and what it is. */
export interface JsonDocument {
  readonly title: string;
  readonly about: string;
  readonly schema: z.ZodType;
}

/** Every document of the contract, by name. */
export const jsonDocuments: Readonly<Record<string, JsonDocument>> = {
  train: { title: "train", about: "what `train --json` prints", schema: train },
  "expand-and-track": {
    title: "expand-and-track",
    about: "what `expand-and-track --json` prints",
    schema: expandAndTrack,
  },
  "dry-run": {
    title: "--dry-run",
    about: "what `train` and `expand-and-track` print with `--dry-run --json`",
    schema: dryRun,
  },
  report: { title: "report", about: "what `report --json` prints", schema: report },
  expand: { title: "expand", about: "what `expand --json` prints", schema: expand },
  carry: { title: "carry", about: "what `carry --json` prints", schema: carry },
  import: {
    title: "import",
    about: "what `import --json` prints",
    schema: conversion("import"),
  },
  export: {
    title: "export",
    about: "what `export --json` prints",
    schema: conversion("export"),
  },
  eval: { title: "eval", about: "what `eval --json` prints", schema: evaluate },
  dump: { title: "dump", about: "what `dump --json` prints", schema: dump },
  inspect: {
    title: "inspect",
    about: "what `inspect --json` prints; `kind` says which of the forms",
    schema: inspect,
  },
  doctor: { title: "doctor", about: "what `doctor --json` prints", schema: doctor },
  compare: {
    title: "persistence.json",
    about:
      "the summary of a comparison, in each stage after the base; what `compare --json` prints",
    schema: compare,
  },
  "compare-cost": {
    title: "compare --dry-run",
    about: "what `compare` prints with `--dry-run --json`",
    schema: compareCost,
  },
  "five-questions": {
    title: "five-questions.json",
    about: "the essay's five questions, at the root of a run",
    schema: fiveQuestions,
  },
  growth: {
    title: "growth.json",
    about: "what each expansion cost and bought, at the root of a run",
    schema: growth,
  },
  likeness: {
    title: "likeness.json",
    about:
      "a grown model's likeness to its parent and to a from-scratch model over its training, in each stage after the base",
    schema: likeness,
  },
  history: {
    title: "history.json",
    about: "how long features last over the stages, at the root of a run",
    schema: history,
  },
  map: { title: "map.json", about: "an expansion map, beside map.safetensors", schema: map },
  bench: { title: "bench", about: "one line per benchmark", schema: bench },
  error: { title: "errors", about: "any command that ends badly under `--json`", schema: failure },
};

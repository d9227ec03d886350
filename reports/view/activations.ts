/** SAEs on a dump of activations, as printed: what each does, and what the dump says of itself. */
import { architectures, type DumpUse, type SaeArchitecture } from "../../sae/index.ts";
import type { ActivationsSae } from "../run-data/activations.ts";
import type { RunData } from "../run-data.ts";
import { count, decimal, inWords, percent, plural } from "./format.ts";
import type { Tile } from "./tiles.ts";
import type { Phrase } from "./verdict-sentence.ts";

/** The title where the plan has none. */
export const activationsTitle: string = "SAEs on activations";

/** A row of the table of SAEs. */
export interface ActivationsRow {
  readonly name: string;
  readonly hook: string;
  /** Architecture, latents and k. */
  readonly what: string;
  readonly l0: string;
  readonly fvu: string;
  readonly cosine: string;
  readonly norm: string;
  readonly dead: string;
  readonly often: string;
  readonly veryOften: string;
}

/** What the page says of a run on a dump. */
export interface ActivationsView {
  readonly sentence: readonly Phrase[];
  readonly context: string;
  readonly tiles: readonly Tile[];
  readonly rows: readonly ActivationsRow[];
  /** Name and value. */
  readonly facts: readonly (readonly [string, string])[];
}

/** Longer values of metadata are cut off. */
const longestFact = 80;

/** The view; null where the run is not one on activations. */
export function activationsView(run: RunData): ActivationsView | null {
  if (run.activations === null) return null;
  const { evaluation } = run.activations;
  if (evaluation === null) {
    return {
      sentence: [{ text: "The SAEs are not finished yet." }],
      context: "This page shows what is there; render it again when the run is done.",
      tiles: [],
      rows: [],
      facts: [],
    };
  }
  const { activations, saes } = evaluation;
  const [first] = saes;
  return {
    sentence: first === undefined ? [{ text: "There is no SAE." }] : sentence(first, saes.length),
    context: measuredOn(activations),
    tiles: first === undefined ? [] : tiles(first, activations),
    rows: saes.map((sae) => row(run, sae)),
    facts: [
      ["file", activations.file],
      ["rows", count(activations.rows)],
      ["rows trained on", count(activations.trained_rows)],
      ["rows held out", count(activations.held_out_rows)],
      ...Object.entries(activations.metadata).map(
        ([key, value]) => [key.replace(/^sae_carry\./, ""), shortened(value)] as const,
      ),
    ],
  };
}

function sentence({ fvu, l0, hook_name, hook_name_out }: ActivationsSae, of: number): Phrase[] {
  return [
    { text: of === 1 ? "The SAE explains " : `The first of ${inWords(of)} SAEs explains ` },
    { text: percent(fvu === null ? null : 1 - fvu), tone: "good" },
    { text: ` of the variance of ${hook_name_out ?? hook_name} with ` },
    { text: `${decimal(l0, 1)} latents a token`, tone: "good" },
    { text: "." },
  ];
}

function measuredOn({ file, held_out, held_out_rows }: DumpUse): string {
  const where =
    held_out === null
      ? "Measured on the rows that they were trained on, since there are too few sequences to hold one in ten out."
      : `Measured on every tenth of the ${held_out}, ${plural(held_out_rows ?? 0, "row")} that they were not trained on.`;
  return `Trained on ${file} without the model that made it. ${where}`;
}

function tiles(sae: ActivationsSae, { trained_rows, held_out_rows }: DumpUse): Tile[] {
  const tile = (label: string, value: string, note: string, term: string): Tile => ({
    ...{ label, value, note, term },
    interval: null,
  });
  return [
    tile("FVU of the SAE", decimal(sae.fvu, 3), `mean cosine ${decimal(sae.cossim, 3)}`, "fvu"),
    tile("L0", decimal(sae.l0, 1), "latents active on a row", "l0"),
    tile("Dead latents", percent(sae.dead_fraction), "never fire in the rows measured", "dead"),
    tile(
      "Rows trained on",
      count(trained_rows),
      held_out_rows === null ? "none held out" : `${count(held_out_rows)} held out`,
      "",
    ),
  ];
}

function row(run: RunData, sae: ActivationsSae): ActivationsRow {
  const plan = run.plan.saes.find(({ name }) => name === sae.sae);
  const kind = plan?.architecture ?? "";
  const title = kind in architectures ? architectures[kind as SaeArchitecture].title : kind;
  return {
    name: sae.sae,
    hook: sae.hook_name_out === null ? sae.hook_name : `${sae.hook_name} → ${sae.hook_name_out}`,
    what:
      plan === undefined
        ? ""
        : `${title}, ${plan.k === null ? "" : `${plan.k} of `}${plan.d_sae ?? "?"} latents`,
    l0: decimal(sae.l0, 1),
    fvu: decimal(sae.fvu, 3),
    cosine: decimal(sae.cossim, 3),
    norm: decimal(sae.l2_ratio, 3),
    dead: percent(sae.dead_fraction),
    often: percent(sae.freq_over_1_percent),
    veryOften: percent(sae.freq_over_10_percent),
  };
}

function shortened(value: string): string {
  return value.length <= longestFact ? value : `${value.slice(0, longestFact)}…`;
}

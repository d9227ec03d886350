/**
 * Rotary position settings as Hugging Face configurations hold them: `rope_theta` and `rope_scaling` beside the
 * other fields, or all of it in `rope_parameters` (transformers 5). Types: default, linear (Chen et al. 2023) and
 * llama3 (Llama 3.1's stretching of the low frequencies); the others change with the length of the text and are refused.
 */
import type { Rotary } from "../engine/index.ts";
import type { ConfigFields } from "./config-fields.ts";

/** How frequencies depart from theta^(−2i/dims). */
export type RopeScaling =
  | { readonly rope_type: "linear"; readonly factor: number }
  | {
      readonly rope_type: "llama3";
      readonly factor: number;
      readonly low_freq_factor: number;
      readonly high_freq_factor: number;
      readonly original_max_position_embeddings: number;
    };

/** Rotary settings in one form, whichever the file had. */
export interface Rope {
  readonly theta: number;
  /** Share of a head's numbers that turns. */
  readonly share: number;
  readonly scaling: RopeScaling | null;
}

/** Names of the fields that a family's older configurations use. */
export interface RopeFieldNames {
  readonly theta: string;
  readonly share?: string;
  /** The share where no field gives it. Default 1. */
  readonly defaultShare?: number;
  /** The base of the frequencies where no field gives it. Default 10,000. */
  readonly defaultTheta?: number;
}

/** Reads the rotary settings. `context` is the model's longest. Errors: UsageError naming the field. */
export function parseRope(fields: ConfigFields, context: number, names: RopeFieldNames): Rope {
  const nested = fields.inner("rope_parameters");
  const scaling = fields.inner("rope_scaling") ?? nested;
  const theta =
    nested?.raw("rope_theta") === undefined
      ? fields.positive(names.theta, names.defaultTheta ?? 10_000)
      : nested.positive("rope_theta");
  const share =
    nested?.raw("partial_rotary_factor") === undefined
      ? fields.positive(names.share ?? "partial_rotary_factor", names.defaultShare ?? 1)
      : nested.positive("partial_rotary_factor");
  return { theta, share, scaling: scaling && parseScaling(scaling, context) };
}

function parseScaling(fields: ConfigFields, context: number): RopeScaling | null {
  const key = fields.raw("rope_type") === undefined ? "type" : "rope_type";
  const type = fields.choice(key, ["default", "linear", "llama3"]);
  if (type === "default") return null;
  const factor = fields.positive("factor");
  if (type === "linear") return { rope_type: type, factor };
  return {
    rope_type: type,
    factor,
    low_freq_factor: fields.positive("low_freq_factor"),
    high_freq_factor: fields.positive("high_freq_factor"),
    original_max_position_embeddings: fields.size("original_max_position_embeddings", context),
  };
}

/** Numbers of a head of `headDim` that turn: ⌊headDim · share⌋. */
export function rotaryDims(headDim: number, { share }: Rope): number {
  return Math.floor(headDim * share);
}

const made = new WeakMap<Rope, Map<number, Rotary>>();

/** The frequencies for heads of `headDim`, in f32 as transformers keeps them; the same object for the same settings. */
export function ropeRotary(rope: Rope, headDim: number): Rotary {
  const known = made.get(rope) ?? new Map<number, Rotary>();
  made.set(rope, known);
  const found = known.get(headDim);
  if (found) return found;
  const dims = rotaryDims(headDim, rope);
  const frequencies = Array.from({ length: dims / 2 }, (_, i) =>
    Math.fround(scaled(rope.theta ** ((-2 * i) / dims), rope.scaling)),
  );
  const rotary = { frequencies };
  known.set(headDim, rotary);
  return rotary;
}

function scaled(frequency: number, scaling: RopeScaling | null): number {
  if (scaling === null) return frequency;
  if (scaling.rope_type === "linear") return frequency / scaling.factor;
  const { factor, low_freq_factor: low, high_freq_factor: high } = scaling;
  // how many turns fit into the context that the model was first trained with
  const turns = (scaling.original_max_position_embeddings * frequency) / (2 * Math.PI);
  if (turns > high) return frequency;
  if (turns < low) return frequency / factor;
  const smooth = (turns - low) / (high - low);
  return ((1 - smooth) * frequency) / factor + smooth * frequency;
}

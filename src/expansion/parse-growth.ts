/**
 * @file What a user writes after `expand` (or under a stage's `expand:`) becomes absolute sizes:
 * `1.5x`, `+2`, `96`. A relative width that no head count allows is rounded to the nearest valid
 * one, with a note; an explicit one is an error that names the nearest.
 */
import { UsageError } from "../io/index.ts";
import { type ModelConfig, modelSizes } from "../models/index.ts";
import { childConfig, widthStep } from "./child-config.ts";
import { childLayers, depthMethods, isDepthMethod } from "./depth/depth-methods.ts";
import type { Positions } from "./depth/identity.ts";
import type { ExpandOptions } from "./expand-model.ts";
import { growthFrame } from "./ligo/growth-frame.ts";
import { type LearnOptions, learnDefaults } from "./ligo/learn-operators.ts";
import type { GrowthMethodName } from "./width/width-growth.ts";
import { growthMethods, isGrowthMethod, isWidthMethod } from "./width/width-methods.ts";

/** Flags of `expand` as text or numbers; `positions` may be a list. Undefined = not given. */
export interface GrowthFlags {
  readonly width?: string | number;
  readonly heads?: string | number;
  readonly layers?: string | number;
  readonly mlp?: string | number;
  readonly "kv-heads"?: string | number;
  readonly "head-dim"?: string | number;
  readonly vocab?: string | number;
  readonly experts?: string | number;
  readonly "experts-per-token"?: string | number;
  readonly method?: string;
  readonly "depth-method"?: string;
  readonly positions?: string | readonly number[];
  /** `false` or null = no noise. */
  readonly "noise-db"?: string | number | false | null;
  readonly "ligo-steps"?: string | number;
  readonly "ligo-lr"?: string | number;
}

/**
 * Signal-to-noise ratio in dB of the noise on duplicated read columns. HyperCloning uses 10; at 0 copies
 * part further and the loss after training is a little lower: doubling a trained model of width 64 and
 * training on for 250 steps gave a copy spread of 2e-4 and a loss of 4.112 at 10 dB, 4e-3 and 4.107 at 0.
 * Without noise copies of a neuron get the same gradients for ever. One default for every method: those that make
 * copies all need it, and where nothing was copied none falls.
 */
export const defaultNoiseDb = 0;

/** Resolves flags against the parent. Errors: UsageError naming the flag. */
export function parseGrowth(
  flags: GrowthFlags,
  config: ModelConfig,
): { options: ExpandOptions; notes: string[] } {
  const parent = modelSizes(config);
  const notes: string[] = [];
  const method = flags.method ?? "lemon";
  if (!isGrowthMethod(method)) {
    throw unknownMethod("--method", method, Object.keys(growthMethods), []);
  }
  const depthMethod = flags["depth-method"] ?? "identity";
  if (!isDepthMethod(depthMethod)) {
    throw unknownMethod("--depth-method", depthMethod, Object.keys(depthMethods), []);
  }
  const learns = !isWidthMethod(method);
  if (learns && depthMethod !== "identity" && depthMethod !== "stack") {
    throw new UsageError({
      code: "depth-method-unused",
      where: "--depth-method",
      expected: `none with ${method}, which starts from the stack and learns how to mix layers`,
      got: depthMethod,
    });
  }
  const positions = parsePositions(flags.positions ?? "interleaved");
  const inserted = typeof positions === "string" ? undefined : parent.nLayer + positions.length;
  const headDim = parseSize("--head-dim", flags["head-dim"], parent.headDim);
  const options: ExpandOptions = {
    width:
      flags.width === undefined
        ? undefined
        : parseWidth(flags.width, config, { method, headDim }, notes),
    heads: parseSize("--heads", flags.heads, parent.nHead),
    kvHeads: parseSize("--kv-heads", flags["kv-heads"], parent.nKvHead),
    headDim,
    layers: parseSize("--layers", flags.layers, parent.nLayer) ?? inserted,
    mlp: parseSize("--mlp", flags.mlp, parent.dMlp),
    vocab: parseSize("--vocab", flags.vocab, parent.vocabSize),
    experts: parseCount("--experts", flags.experts),
    expertsPerToken: parseCount("--experts-per-token", flags["experts-per-token"]),
    method,
    depth_method: learns ? "stack" : depthMethod,
    positions,
    noise_db: parseNoise(flags["noise-db"]),
    ...(learns ? { ligo: parseLearning(flags) } : {}),
  };
  const childSettings = childConfig(config, options);
  const child = modelSizes(childSettings);
  childLayers(options.depth_method, parent.nLayer, child.nLayer, positions);
  if (options.width === undefined && child.dModel !== parent.dModel) {
    const of = child.headDim === parent.headDim ? "" : ` of ${child.headDim}`;
    notes.push(`width follows the heads: ${child.nHead} heads${of} make ${child.dModel}`);
  }
  if (options.heads === undefined && child.nHead !== parent.nHead) {
    notes.push(`heads follow the width: ${child.nHead} of ${child.headDim}`);
  }
  if (options.mlp === undefined && child.dMlp !== parent.dMlp) {
    notes.push(`the MLP keeps its ratio to the width: ${child.dMlp} neurons`);
  }
  const widens = (["dModel", "nHead", "dMlp"] as const).some((size) => child[size] > parent[size]);
  const why =
    widens || learns ? growthMethods[method].whyInexact(parent.dModel, child.dModel) : null;
  if (why !== null) notes.push(`${method} is not exact: ${why}`);
  if (learns) growthFrame(config, childSettings);
  if (config.model_type === "qwen3" && child.normEps !== parent.normEps) {
    notes.push(
      "rms_norm_eps changes with the width and the norms of the heads share it: queries and keys are scaled to make up for it, exactly",
    );
  }
  if ("rope" in config && "rope" in childSettings) {
    const [was, is] = [config.rope, childSettings.rope];
    if (is.theta !== was.theta) {
      notes.push(`rope_theta becomes ${is.theta}: heads of ${child.headDim} then turn as before`);
    }
    if (is.share !== was.share) {
      notes.push(`rotary_pct becomes ${is.share}: as many numbers of a head turn as before`);
    }
  }
  if (child.experts && !parent.experts && (child.dModel % 8 !== 0 || child.dMlp % 8 !== 0)) {
    notes.push(
      `transformers runs experts of width ${child.dModel} and ${child.dMlp} neurons with experts_implementation="eager": its grouped products take multiples of 8 (in float32 of 4)`,
    );
  }
  if (child.vocabSize > parent.vocabSize) {
    notes.push(
      "the logits of the old tokens stay exactly; their probabilities give the new ones a share",
    );
  }
  return { options, notes };
}

function parseWidth(
  value: string | number,
  config: ModelConfig,
  { method, headDim }: { readonly method: GrowthMethodName; readonly headDim?: number },
  notes: string[],
): number {
  const sizes = modelSizes(config);
  const { dModel } = sizes;
  const step = widthStep(config, method, headDim);
  const exact = parseAmount("--width", value, dModel);
  if (!exact.relative || exact.size % step === 0 || exact.size < dModel) {
    return exact.size;
  }
  const smallest = (Math.floor(dModel / step) + 1) * step;
  const width = Math.max(smallest, Math.round(exact.size / step) * step);
  const reason = growthMethods[method].wholeMultiples
    ? `${method} allows`
    : `heads of ${headDim ?? sizes.headDim} allow`;
  notes.push(
    `width ${value} of ${dModel} is ${exact.size}; ${width} is the nearest that ${reason}`,
  );
  return width;
}

function parseSize(
  where: string,
  value: string | number | undefined,
  parent: number,
): number | undefined {
  return value === undefined ? undefined : Math.round(parseAmount(where, value, parent).size);
}

/** A plain number. */
function parseCount(where: string, value: string | number | undefined): number | undefined {
  if (value === undefined) return undefined;
  if (/^\d{1,9}$/.test(String(value).trim())) return Number(value);
  throw new UsageError({
    code: "growth-size",
    where,
    expected: "a number of experts such as 4",
    got: String(value),
  });
}

/** `N`, `1.5x` or `+2`, against the parent's size. Relative sizes may come out fractional. */
function parseAmount(
  where: string,
  value: string | number,
  parent: number,
): { size: number; relative: boolean } {
  const text = String(value).trim();
  if (/^\d{1,9}$/.test(text)) return { size: Number(text), relative: false };
  if (/^\d{1,9}(\.\d+)?x$/i.test(text)) {
    return { size: Number(text.slice(0, -1)) * parent, relative: true };
  }
  if (/^\+\d{1,9}$/.test(text)) return { size: parent + Number(text), relative: true };
  throw new UsageError({
    code: "growth-size",
    where,
    expected: "a size such as 96, a factor such as 1.5x, or an increase such as +2",
    got: text,
  });
}

function parsePositions(value: string | readonly number[]): Positions {
  if (value === "interleaved" || value === "top" || value === "bottom") return value;
  const list = typeof value === "string" ? value.split(",").map((item) => item.trim()) : value;
  if (list.length > 0 && list.every((item) => /^-?\d{1,6}$/.test(String(item)))) {
    return list.map(Number);
  }
  throw new UsageError({
    code: "positions",
    where: "--positions",
    expected: "interleaved, top, bottom, or layers of the parent such as 0,2",
    got: String(value),
  });
}

function parseNoise(value: GrowthFlags["noise-db"]): number | null {
  if (value === undefined) return defaultNoiseDb;
  if (value === false || value === null) return null;
  const decibels = Number(value);
  if (String(value).trim() !== "" && Number.isFinite(decibels) && Math.abs(decibels) <= 200) {
    return decibels;
  }
  throw new UsageError({
    code: "noise-db",
    where: "--noise-db",
    expected: "decibels from -200 to 200, such as 10; --no-noise for none",
    got: String(value),
  });
}

function parseLearning(flags: GrowthFlags): LearnOptions {
  const read = (name: "ligo-steps" | "ligo-lr", fallback: number, expected: string) => {
    const value = flags[name] === undefined ? fallback : Number(flags[name]);
    const fits = name === "ligo-lr" ? value < 10 : Number.isSafeInteger(value) && value <= 1e6;
    if (value > 0 && fits) return value;
    throw new UsageError({ code: name, where: `--${name}`, expected, got: String(flags[name]) });
  };
  return {
    ...learnDefaults,
    steps: read("ligo-steps", learnDefaults.steps, "a whole number of steps from 1 to a million"),
    lr: read("ligo-lr", learnDefaults.lr, "a learning rate above 0 and below 10"),
  };
}

function unknownMethod(
  where: string,
  value: string,
  known: readonly string[],
  later: readonly string[],
): UsageError {
  return new UsageError({
    code: "growth-method",
    where,
    expected: known.join(", "),
    got: value,
    hint: later.includes(value) ? "This version does not have that method yet." : undefined,
  });
}

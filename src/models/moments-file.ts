/**
 * AdamW's moments beside the model that they belong to: `optimizer.safetensors`, with `m/<parameter>` and
 * `v/<parameter>` in f32 for every parameter that was trained, and the number of steps in the metadata.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { AdamwState } from "../engine/index.ts";
import { type HostTensor, readSafetensors, UsageError, writeSafetensors } from "../io/index.ts";
import type { ModelConfig } from "./config.ts";
import { parameterShapes } from "./model.ts";

/** The file's name in a model's folder. */
export const momentsFile = "optimizer.safetensors";

const format = "sae-carry/optimizer";

/** The moments as tensors of their parameters' shapes, under `m/` and `v/`. */
export function momentTensors(
  { m, v }: AdamwState,
  shapes: ReadonlyMap<string, readonly number[]>,
): Map<string, HostTensor> {
  const tensors = new Map<string, HostTensor>();
  for (const [prefix, moments] of [["m", m] as const, ["v", v] as const]) {
    for (const [name, data] of moments) {
      const shape = shapes.get(name);
      if (!shape) throw new Error(`internal: moments of the unknown parameter ${name}`);
      tensors.set(`${prefix}/${name}`, { shape, data });
    }
  }
  return tensors;
}

/** The inverse of `momentTensors`; other tensors are passed over. */
export function momentsOf(tensors: ReadonlyMap<string, HostTensor>, step: number): AdamwState {
  const of = (prefix: string): Map<string, Float32Array> =>
    new Map(
      [...tensors]
        .filter(([key]) => key.startsWith(prefix))
        .map(([key, { data }]) => [key.slice(prefix.length), data as Float32Array]),
    );
  return { step, m: of("m/"), v: of("v/") };
}

/** Writes the moments of a model of this configuration into its folder. */
export function saveMoments(dir: string, state: AdamwState, config: ModelConfig): void {
  const tensors = momentTensors(state, parameterShapes(config));
  const metadata = { format, version: "1", step: String(state.step) };
  writeSafetensors(join(dir, momentsFile), tensors, metadata);
}

/**
 * The moments in a model's folder, or null where there are none. Errors: UsageError for a file of another kind or
 * moments that don't fit the configuration.
 */
export function loadMoments(dir: string, config: ModelConfig): AdamwState | null {
  const path = join(dir, momentsFile);
  if (!existsSync(path)) return null;
  const { tensors, metadata } = readSafetensors(path);
  const fail = (where: string, expected: string, got: string): never => {
    throw new UsageError({ code: "moments", where: `${path}: ${where}`, expected, got });
  };
  const step = Number(metadata.step);
  if (metadata.format !== format || metadata.version !== "1" || !(step >= 0)) {
    fail("metadata", `${format} version 1`, `${metadata.format} version ${metadata.version}`);
  }
  const shapes = parameterShapes(config);
  for (const [key, { shape, data }] of tensors) {
    const expected = shapes.get(key.slice(2));
    if (!/^[mv]\//.test(key) || expected === undefined) {
      fail(key, "m/ or v/ and a parameter of the model", "another name");
    } else if (`${expected}` !== `${shape}` || !(data instanceof Float32Array)) {
      fail(key, `f32 [${expected.join(", ")}]`, `[${shape.join(", ")}]`);
    }
  }
  return momentsOf(tensors, step);
}

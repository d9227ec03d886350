/** @file Which step kernels a training step runs on: the addon's while the native backend is active, else the plain ones. */
import { saeAddon } from "../../src/engine/index.ts";
import type { SaeConfig } from "../sae.ts";
import { nativeStepKernels } from "./native-step.ts";
import { plainStepKernels } from "./plain-step.ts";
import type { StepKernels } from "./step-kernels.ts";

/** The active backend's implementation, with buffers of its own for this shape, made once for each by `cache`. */
export function stepKernels(
  cache: Map<string, StepKernels>,
  { d_in, d_out, d_sae }: SaeConfig,
): StepKernels {
  const addon = saeAddon();
  const key = `${addon ? "native" : "plain"} ${d_in}x${d_sae}x${d_out}`;
  let kernels = cache.get(key);
  if (!kernels) {
    kernels = addon ? nativeStepKernels(addon) : plainStepKernels(d_in, d_sae, d_out);
    cache.set(key, kernels);
  }
  return kernels;
}

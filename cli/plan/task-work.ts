/**
 * @file What one task of a run takes: operations, tokens, memory at its peak. Training and forward passes are counted
 * from sizes; what else a task does has seconds of its own.
 */

import { defaultChunkBatches } from "../../sae/index.ts";
import { ActivationDump } from "../../src/io/index.ts";
import {
  hookWidth,
  type ModelConfig,
  modelSizes,
  parameterCount,
  trainingFlopsPerToken,
} from "../../src/models/index.ts";
import { likenessModels, tokensBefore } from "../run/checkpoints.ts";
import { crosscoderSizes } from "../run/crosscoder-sizes.ts";
import { realArm } from "../run/layout.ts";
import { learnedTokens } from "../run/planned-growth.ts";
import type { Task } from "../run/task.ts";
import { effectPairs } from "./defaults.ts";
import { comparisonSeconds } from "./task-seconds.ts";
import type { ResolvedPlan, SaePlan } from "./types.ts";

/** A buffer of activations that SAEs train on. */
export interface BufferEstimate {
  readonly tokens: number;
  readonly bytes: number;
}

/** The work of one task. */
export interface TaskWork {
  readonly flops: number;
  /** Seconds besides: reading, writing, drawing, and loops that are no products. */
  readonly fixedSeconds: number;
  readonly memory_bytes: number;
  readonly lmTokens: number;
  readonly saeTokens: number;
  /** SAEs that it trains. */
  readonly saes: number;
  readonly buffer: BufferEstimate | null;
}

/** Bytes of a number in f32. */
export const floatBytes = 4;
const processBytes = 300e6; // Node with a backend and the program
// three tasks of 64 prompts, attributed in some steps and patched at some sizes
const circuitTokens = 50_000;

/** From runs of the demo's size (task-seconds.ts): they matter where products take seconds, and not beyond. */
const fixedSeconds: Readonly<Record<Task["spec"]["kind"], number>> = {
  data: 3,
  "language-model": 1,
  expand: 1,
  sae: 1,
  crosscoder: 1,
  activations: 1,
  evaluate: 2,
  compare: 1,
  likeness: 1,
  circuits: 1,
  gates: 3,
  report: 2,
};

const logitFloats = 3 * (1 << 24); // logits of evaluation: as they are, spliced, and their softmax

/** Works it out; `configs` are the stages' models, none where SAEs train on a dump. */
export function taskWork(
  plan: ResolvedPlan,
  configs: readonly ModelConfig[],
  { spec, stage }: Task,
): TaskWork {
  const none = {
    flops: 0,
    fixedSeconds: fixedSeconds[spec.kind],
    lmTokens: 0,
    saeTokens: 0,
    saes: 0,
    buffer: null,
  };
  const bytes = (floats: number): number => Math.round(processBytes + floatBytes * floats);
  const perToken = (of: ModelConfig): number => trainingFlopsPerToken(of, plan.data.context);
  const corpus = plan.data.max_tokens ?? plan.model.train.tokens;
  switch (spec.kind) {
    case "language-model": {
      const config = spec.arm === "no-expand" ? configs[stage - 1] : configs[stage];
      const tokens = lmTokensOf(plan, stage, spec.arm);
      const floats = trainingFloats(config, plan.model.train.batch_tokens) + corpus;
      return {
        ...none,
        flops: perToken(config) * tokens,
        memory_bytes: bytes(floats),
        lmTokens: tokens,
      };
    }
    case "sae": {
      const of = spec.model.arm === "no-expand" ? configs[stage - 1] : configs[spec.model.stage];
      const scale = dModel(of) / dModel(configs[0]);
      const continued = stage === 0 ? 0 : plan.stages[stage - 1].carry.tokens;
      const work = saeWork(
        plan.saes.map((sae) => ({
          sae,
          width: hookWidth(configs[0], sae.hook) * scale,
          widthOut: hookWidth(configs[0], sae.hook_out ?? sae.hook) * scale,
          latents: sae.d_sae + addedLatents(plan, stage),
          lengths: spec.jobs.map(({ arm, start, times = 1 }) => {
            if (sae.from !== null && stage === 0 && arm === realArm) return sae.from_tokens;
            return start === "fresh" ? sae.tokens : times * continued;
          }),
        })),
        perToken(of) / 3,
      );
      const floats =
        work.floats + parameterCount(of) + passFloats(of, 32 * plan.data.context) + corpus;
      return { ...none, ...work, memory_bytes: bytes(floats) };
    }
    case "crosscoder": {
      // one pass of each model, and a step as wide as both activations together
      const pair = [configs[stage - 1], configs[stage]];
      const saes = plan.saes.map((sae) => {
        const width = pair.reduce(
          (sum, of) => sum + hookWidth(configs[0], sae.hook) * (dModel(of) / dModel(configs[0])),
          0,
        );
        const { d_sae, k } = crosscoderSizes(plan, stage, sae);
        const one = { sae: { ...sae, hook_out: null, k }, width, widthOut: width };
        return { ...one, latents: d_sae, lengths: [sae.tokens] };
      });
      const work = saeWork(saes, (perToken(pair[0]) + perToken(pair[1])) / 3);
      const models = pair.reduce((sum, of) => sum + parameterCount(of), 0);
      const pass = passFloats(pair[1], 32 * plan.data.context);
      return { ...none, ...work, memory_bytes: bytes(work.floats + models + pass + corpus) };
    }
    case "activations": {
      const dump = new ActivationDump(plan.activations as string);
      const saes = plan.saes.map((sae) => {
        const { width } = dump.hook(sae.hook);
        const widthOut = dump.hook(sae.hook_out ?? sae.hook).width;
        return { sae, width, widthOut, latents: sae.d_sae, lengths: [sae.tokens] };
      });
      const work = saeWork(saes, 0);
      return { ...none, ...work, memory_bytes: bytes(work.floats + 3 * dump.rows) };
    }
    case "evaluate": {
      const saes = plan.saes.length * Math.max(1, plan.controls.arms.length * (stage > 0 ? 1 : 0));
      const flops = (perToken(configs[stage]) / 3) * plan.eval.tokens * (1 + saes);
      const floats = parameterCount(configs[stage]) + logitFloats + corpus;
      return { ...none, flops, memory_bytes: bytes(floats) };
    }
    case "expand": {
      const flops = perToken(configs[stage]) * learnedTokens(plan, stage);
      const sizes = parameterCount(configs[stage]) + parameterCount(configs[stage - 1]);
      return { ...none, flops, memory_bytes: bytes(3 * sizes + logitFloats) };
    }
    case "compare": {
      const arms = plan.controls.arms.length + plan.controls.fresh_seeds;
      const codes = plan.saes.reduce((sum, sae) => sum + 2 * activeLatents(sae), 0) * arms;
      const floats = plan.eval.tokens * codes + 2 * parameterCount(configs[stage]);
      const latents = plan.saes.reduce((sum, { d_sae }) => sum + d_sae, 0);
      const effectTokens = plan.saes.length * effectPairs * 2 * plan.data.context;
      const both = perToken(configs[stage - 1]) + perToken(configs[stage]);
      // cosines of all pairs, arm by arm, and passes for the effects of matched latents
      const flops = 2 * dModel(configs[stage]) * latents ** 2 * arms + (both / 3) * effectTokens;
      const fixed = none.fixedSeconds + comparisonSeconds(plan.eval.tokens, latents, arms);
      return { ...none, flops, fixedSeconds: fixed, memory_bytes: bytes(floats) };
    }
    case "likeness": {
      const models = likenessModels(plan, stage);
      const width = (sae: SaePlan, of: ModelConfig): number =>
        hookWidth(configs[0], sae.hook) * (dModel(of) / dModel(configs[0]));
      // each model runs once for all SAEs of a hook
      const passes = new Set(plan.saes.map(({ hook }) => hook)).size;
      let perModel = (passes * plan.eval.tokens * perToken(configs[stage])) / 3;
      let floats = 0;
      for (const sae of plan.saes) {
        const [d, D] = [width(sae, configs[stage - 1]), width(sae, configs[stage])];
        // sums for a map each way, the codes of two SAEs; then the map's solution
        const perRow = 2 * (d + D) ** 2 + 2 * (d + D) * sae.d_sae;
        perModel += plan.eval.tokens * perRow + 4 * (d + D) ** 3;
        floats = Math.max(floats, plan.eval.tokens * (d + 2 * D) + 6 * (d + D) ** 2);
      }
      const memory_bytes = bytes(floats + parameterCount(configs[stage]) + corpus);
      return { ...none, flops: models * perModel, memory_bytes };
    }
    case "circuits":
      return {
        ...none,
        flops: perToken(configs[stage]) * circuitTokens,
        memory_bytes: bytes(trainingFloats(configs[stage], 32 * plan.data.context)),
      };
    default:
      return { ...none, memory_bytes: bytes(corpus) };
  }
}

/** Weights, gradients, two moments and the activations of a batch. */
function trainingFloats(config: ModelConfig, batchTokens: number): number {
  return 4 * parameterCount(config) + passFloats(config, batchTokens);
}

function passFloats(config: ModelConfig, tokens: number): number {
  const { nLayer, dModel: d, dMlp, experts, vocabSize } = modelSizes(config);
  return tokens * (nLayer * (14 * d + 3 * dMlp * (experts?.perToken ?? 1)) + 2 * vocabSize);
}

/** Arms of one SAE of the plan. */
interface SaeArms {
  readonly sae: SaePlan;
  /** What it reads, and what it reconstructs. */
  readonly width: number;
  readonly widthOut: number;
  readonly latents: number;
  /** Tokens of each. */
  readonly lengths: readonly number[];
}

/** All side by side, on activations that `passFlops` a token make, once for those that read alike. */
function saeWork(
  saes: readonly SaeArms[],
  passFlops: number,
): Pick<TaskWork, "flops" | "saeTokens" | "saes"> & {
  readonly floats: number;
  readonly buffer: BufferEstimate;
} {
  let flops = 0;
  let saeTokens = 0;
  let count = 0;
  let floats = 0;
  const streams = new Map<string, { tokens: number; batch: number; widths: Map<string, number> }>();
  for (const { sae, width, widthOut, latents, lengths } of saes) {
    const tokens = lengths.reduce((sum, length) => sum + length, 0);
    // the encoder's product, and sparse work: half of it in the encoder, half in the decoder
    const sparse = 6 * activeLatents(sae) * (width + widthOut);
    const skip = sae.skip_connection ? 6 * width * widthOut : 0;
    flops += (2 * latents * width + sparse + skip) * tokens;
    saeTokens += tokens;
    count += lengths.length;
    // weights, gradients and two moments of two matrices; the pre-activations of a batch
    floats += lengths.length * 4 * latents * (width + widthOut) + 2 * sae.batch_tokens * latents;
    if (sae.skip_connection) floats += lengths.length * 4 * width * widthOut;
    const key = `${sae.batch_tokens} ${sae.max_norm_ratio}`;
    const stream = streams.get(key) ?? { tokens: 0, batch: sae.batch_tokens, widths: new Map() };
    stream.tokens = Math.max(stream.tokens, ...lengths);
    stream.widths.set(sae.hook, width);
    if (sae.hook_out !== null) stream.widths.set(sae.hook_out, widthOut);
    streams.set(key, stream);
  }
  const buffer = { tokens: 0, bytes: 0 };
  for (const { tokens, batch, widths } of streams.values()) {
    flops += passFlops * tokens;
    const width = [...widths.values()].reduce((sum, own) => sum + own, 0);
    buffer.tokens += defaultChunkBatches * batch;
    buffer.bytes += defaultChunkBatches * batch * width * floatBytes;
  }
  return { flops, saeTokens, saes: count, floats: floats + buffer.bytes / floatBytes, buffer };
}

// The from-scratch model gets the tokens of all stages so far, the unexpanded one those of the last.
/** Tokens that an arm's model trains on at a stage. */
export function lmTokensOf(plan: ResolvedPlan, index: number, arm: string): number {
  const { model, stages } = plan;
  const own = index === 0 ? model.train.tokens : stages[index - 1].train.tokens;
  return arm === "scratch" ? tokensBefore(plan, index + 1) : own;
}

/** Latents that carried SAEs have gained up to a stage. */
export function addedLatents(plan: ResolvedPlan, index: number): number {
  return plan.stages.slice(0, index).reduce((sum, { carry }) => sum + carry.new_latents, 0);
}

/** Width of the residual stream. */
export function dModel(config: ModelConfig): number {
  return modelSizes(config).dModel;
}

/** Latents active for a token. Without a target nobody knows; a twentieth of the latents is what penalties often come to. */
export function activeLatents({ k, d_sae }: ResolvedPlan["saes"][number]): number {
  return k ?? Math.ceil(d_sae / 20);
}

/**
 * @file Training several SAEs in lockstep on one stream of activations: the activations are computed
 * once, each SAE then takes its own step. A trainer's state can be taken out and put back; a
 * resumed trainer goes on with the same numbers as one that was never stopped. Transcoders are trained on a stream
 * that has the targets of its rows, SAEs on one that has none.
 */
import { hostView, type Rng, saeAddon } from "../../src/engine/index.ts";
import { type HostTensor, RunError, UsageError } from "../../src/io/index.ts";
import { activationScale } from "../frame.ts";
import { columnMeans, initialiseSae } from "../initialise.ts";
import { rowsWithoutNorm } from "../runtime-norm.ts";
import { outputHook, type Sae, type SaeConfig } from "../sae.ts";
import type { ActivationSource } from "../shared-activations.ts";
import { stepKernels } from "./choose-kernels.ts";
import { firstThreshold } from "./first-threshold.ts";
import {
  runtimeNormOf,
  type SaeTrainOptions,
  saeLearningRate,
  saeTrainDefaults,
} from "./options.ts";
import { resampleDead } from "./resample.ts";
import { prepareStep, type SaeStepFigures } from "./step.ts";
import type { StepKernels } from "./step-kernels.ts";
import {
  enterTraining,
  fromTrainingTensors,
  leaveTraining,
  type TrainingSae,
  type TrainingScale,
  trainingTensors,
} from "./training-sae.ts";

/** An SAE to be trained. */
export interface SaeJob {
  /** Names its figures, its tensors in a state, and its result. */
  readonly name: string;
  readonly config: SaeConfig;
  /** Where to start; null for a fresh SAE drawn from `rng`. */
  readonly init: Sae | null;
  readonly rng: Rng;
  /** Hold decoder norms at those of `init` instead of at one: for carried SAEs. */
  readonly pinNorms: boolean;
}

/** An SAE that trains on has learnt its k, and its latents keep their lineage. */
const continued: Pick<SaeTrainOptions, "kWarmup" | "resampleAt"> = { kWarmup: 0, resampleAt: [] };

/** What a step did. */
export interface SaeTrainStep {
  /** 1-based. */
  readonly step: number;
  /** Activation rows seen so far. */
  readonly tokens: number;
  readonly lr: number;
  /** In the order of the jobs. */
  readonly saes: readonly (SaeStepFigures & { readonly name: string })[];
}

/** SAEs in training. */
export interface SaeTrainer {
  /** Steps taken so far. */
  readonly taken: number;
  /** Trains every SAE on the next batch. Errors: RunError `nan-loss`. */
  step(): Promise<SaeTrainStep>;
  /** A copy of all that is needed to go on. */
  state(): Map<string, HostTensor>;
  /** A copy of each SAE as it stands, by name, in the frame of the raw activations. */
  saes(): Map<string, Sae>;
}

/**
 * A trainer of `jobs` on the stream `source`, at its start or, with `state`, where that was taken.
 * Errors: UsageError when a job's d_in isn't the stream's or the state is another run's.
 */
export async function createSaeTrainer(
  source: ActivationSource,
  jobs: readonly SaeJob[],
  {
    state,
    ...given
  }: Partial<SaeTrainOptions> &
    Pick<SaeTrainOptions, "steps"> & {
      readonly state?: ReadonlyMap<string, HostTensor>;
    },
): Promise<SaeTrainer> {
  const options: SaeTrainOptions = { ...saeTrainDefaults, ...given };
  checkJobs(source, jobs);
  checkNorms(jobs, options);
  const norm = runtimeNormOf(options.normalize);
  const {
    saes,
    scale,
    taken: start,
  } = state ? restore(jobs, state) : await begin(source, jobs, options);
  let taken = start.step;
  let tokens = start.tokens;
  const kernels = new Map<string, StepKernels>();
  // one buffer each for all steps
  let rows: Float32Array = new Float32Array(0); // [n, d_in]
  let targets: Float32Array = new Float32Array(0); // [n, d_out]

  return {
    get taken() {
      return taken;
    },
    async step() {
      rows = rowsWithoutNorm(norm, await takeRows(source, taken, scale.input, rows), source.dIn);
      targets = source.target ? await takeRows(source.target, taken, scale.target, targets) : rows;
      const variance = totalVariance(targets, source.target?.width ?? source.dIn);
      const lr = saeLearningRate(taken + 1, options);
      const figures: (SaeStepFigures & { name: string })[] = [];
      for (const [i, sae] of saes.entries()) {
        const { name, init } = jobs[i];
        const own = init ? { ...options, ...continued } : options;
        const done = await prepareStep(
          sae,
          rows,
          variance,
          own,
          stepKernels(kernels, sae.cfg),
          taken,
          targets,
        );
        const { loss } = done.figures;
        if (!Number.isFinite(loss)) throw nanLoss(name, taken + 1, loss);
        done.apply(taken + 1, lr);
        figures.push({ name, ...done.figures });
        if (own.resampleAt.includes(taken + 1)) {
          const draw = jobs[i].rng.fork(`resample ${taken + 1}`);
          await resampleDead(sae, rows, draw, own, targets);
        }
      }
      taken += 1;
      tokens += rows.length / source.dIn;
      return { step: taken, tokens, lr, saes: figures };
    },
    state() {
      const out = new Map<string, HostTensor>([
        ["taken", { shape: [2], data: Float64Array.of(taken, tokens) }],
        ["scale", { shape: [2], data: Float64Array.of(scale.input, scale.target) }],
      ]);
      for (const [i, sae] of saes.entries()) {
        for (const [key, tensor] of trainingTensors(sae, `${jobs[i].name}/`)) out.set(key, tensor);
      }
      return out;
    },
    saes: () => new Map(saes.map((sae, i) => [jobs[i].name, leaveTraining(sae, scale)])),
  };
}

/** A step's figures, and the trainer to take SAEs or a state from. */
export interface SaeTrainProgress extends SaeTrainStep {
  readonly trainer: SaeTrainer;
}

/** Trains to the last step, yielding after each; returns the trained SAEs by name. */
export async function* trainSaes(
  source: ActivationSource,
  jobs: readonly SaeJob[],
  options: Parameters<typeof createSaeTrainer>[2],
): AsyncGenerator<SaeTrainProgress, Map<string, Sae>> {
  const trainer = await createSaeTrainer(source, jobs, options);
  while (trainer.taken < options.steps) yield { ...(await trainer.step()), trainer };
  return trainer.saes();
}

interface Started {
  readonly saes: TrainingSae[];
  readonly scale: TrainingScale;
  readonly taken: { readonly step: number; readonly tokens: number };
}

/** The scale and the fresh SAEs' b_dec come from the first batch. */
async function begin(
  source: ActivationSource,
  jobs: readonly SaeJob[],
  options: SaeTrainOptions,
): Promise<Started> {
  const { target } = source;
  const norm = runtimeNormOf(options.normalize);
  const sample = rowsWithoutNorm(
    norm,
    await takeRows(source, 0, 1, new Float32Array(0)),
    source.dIn,
  );
  const targets = target ? await takeRows(target, 0, 1, new Float32Array(0)) : sample;
  const scaled = (rows: Float32Array, width: number): number =>
    options.normalize === "expected_average_only_in" ? activationScale(rows, width) : 1;
  const input = scaled(sample, source.dIn);
  const scale = { input, target: target ? scaled(targets, target.width) : input };
  const saes: TrainingSae[] = [];
  for (const { config, init, rng, pinNorms } of jobs) {
    saes.push(
      init
        ? enterTraining({ ...init, cfg: config }, scale, pinNorms, options)
        : enterTraining(
            await fresh(config, sample, targets, rng, scale, options),
            scale,
            true,
            options,
          ),
    );
  }
  return { saes, scale, taken: { step: 0, tokens: 0 } };
}

/** A fresh SAE. */
async function fresh(
  config: SaeConfig,
  sample: Float32Array,
  targets: Float32Array,
  rng: Rng,
  { input }: TrainingScale,
  options: SaeTrainOptions,
): Promise<Sae> {
  const sae = initialiseSae(config, sample, rng.fork("initialise"), targets);
  if (config.architecture !== "jumprelu") return sae;
  const threshold = await firstThreshold(sae, sample, input, options);
  return { ...sae, threshold: new Float32Array(config.d_sae).fill(threshold) };
}

function restore(jobs: readonly SaeJob[], state: ReadonlyMap<string, HostTensor>): Started {
  const taken = state.get("taken")?.data;
  const scale = state.get("scale")?.data;
  if (!(taken instanceof Float64Array && scale instanceof Float64Array && scale.length === 2)) {
    throw new UsageError({
      code: "sae-state",
      where: "SAE training state",
      expected: "tensors `taken` and `scale` in float64",
      got: "a file without them",
    });
  }
  return {
    saes: jobs.map(({ name, config }) => fromTrainingTensors(config, state, `${name}/`)),
    scale: { input: scale[0], target: scale[1] },
    taken: { step: taken[0], tokens: taken[1] },
  };
}

function checkJobs(source: ActivationSource, jobs: readonly SaeJob[]): void {
  const names = new Set(jobs.map(({ name }) => name));
  if (names.size !== jobs.length) throw new Error("internal: two SAE jobs share a name");
  const dOut = source.target?.width ?? source.dIn;
  for (const { name, config, init } of jobs) {
    if ((config.hook_name_out === null) !== (source.target === undefined)) {
      throw new Error(
        `internal: ${name} is ${config.hook_name_out === null ? "no" : "a"} transcoder, its stream has ${source.target ? "" : "no "}targets`,
      );
    }
    for (const cfg of [config, init?.cfg ?? config]) {
      checkWidth(name, "d_in", cfg.d_in, source.dIn, config.hook_name);
      checkWidth(name, "d_out", cfg.d_out, dOut, outputHook(config));
    }
  }
}

/** SAEs that take a norm off their rows are trained on such rows, others on none. */
function checkNorms(jobs: readonly SaeJob[], { normalize }: SaeTrainOptions): void {
  const norm = runtimeNormOf(normalize);
  for (const { name, config, init } of jobs) {
    for (const { normalize_activations } of [config, init?.cfg ?? config]) {
      if (normalize_activations !== norm) {
        throw new Error(`internal: ${name} has ${normalize_activations}, its training ${norm}`);
      }
    }
  }
}

function checkWidth(name: string, field: string, got: number, width: number, hook: string): void {
  if (got === width) return;
  throw new UsageError({
    code: "sae-width",
    where: `SAE ${name}: ${field}`,
    expected: `${width}, the width of ${hook}`,
    got: String(got),
  });
}

/** The step's rows times `scale`, on the host; in `buffer` where it has their length. */
async function takeRows(
  source: Pick<ActivationSource, "batch">,
  step: number,
  scale: number,
  buffer: Float32Array,
): Promise<Float32Array> {
  const tensor = await source.batch(step);
  const values = hostView(tensor) ?? ((await tensor.data()) as Float32Array);
  const rows = buffer.length === values.length ? buffer : new Float32Array(values.length);
  for (let i = 0; i < rows.length; i++) rows[i] = values[i] * scale;
  tensor.dispose();
  return rows;
}

/** Σ‖x − mean‖² over the rows. */
function totalVariance(rows: Float32Array, d: number): number {
  const addon = saeAddon();
  if (addon) return addon.totalVariance(rows, d);
  const mean = columnMeans(rows, d);
  let total = 0;
  for (let at = 0; at < rows.length; at += d) {
    for (let j = 0; j < d; j++) {
      const off = rows[at + j] - mean[j];
      total += off * off;
    }
  }
  return total;
}

function nanLoss(name: string, step: number, loss: number): RunError {
  return new RunError({
    code: "nan-loss",
    where: `SAE ${name}, step ${step}`,
    expected: "a finite loss",
    got: String(loss),
    hint: "The last good state is kept. Lower the learning rate, or look for NaN in the activations.",
  });
}

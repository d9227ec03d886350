/**
 * What the quality benchmark trains: for every library and architecture its settings as they come, and the candidates
 * among which its best are looked for. All libraries get the same learning rates, the same shares of the steps for
 * warm-up and decay where they have such, and the choice between their own idea of a dead latent and ours.
 */
import { architectures, type SaeArchitecture, type SaeTrainOptions } from "../../sae/index.ts";

/** Who trains. */
export type Library = "ours" | "saelens" | "sparsify" | "dictionary_learning";

/** Architectures that are compared. */
export type Compared = "topk" | "batchtopk" | "jumprelu";

/** Sizes that all sides share. */
export interface QualitySizes {
  readonly d_in: number;
  readonly d_sae: number;
  readonly k: number;
  readonly batch: number;
  readonly steps: number;
}

/** One way to train: what goes to a library's trainer and, for SAELens, to its SAE's configuration. */
export interface Candidate {
  /** Says in a few words what is not as it comes. */
  readonly label: string;
  readonly trainer: Readonly<Record<string, number | string | null>>;
  readonly sae?: Readonly<Record<string, unknown>>;
}

/** The learning rates tried, for everybody, unless the command names others. */
export const defaultRates: readonly number[] = [2e-3, 4e-3, 8e-3, 1.6e-2, 3.2e-2];

/** Shares of the steps that tuned runs warm up and decay over, and over which a penalty rises. */
const [warmup, decay, sparsityWarmup] = [0.05, 0.3, 0.1];

/** Tokens without a firing after which a latent is dead, in runs as short as these. */
const deadAfter = 40_000;

/** The libraries that have an architecture. */
export function librariesOf(architecture: Compared): readonly Library[] {
  const others: readonly Library[] = ["saelens", "dictionary_learning"];
  return ["ours", ...(architecture === "topk" ? [...others, "sparsify" as const] : others)];
}

/** A library's settings as they come. SAELens has no default coefficient for an L0: the steps of a sweep. */
export function defaultsOf(
  library: Library,
  architecture: Compared,
  { k, steps }: QualitySizes,
): readonly Candidate[] {
  if (library === "saelens") {
    if (architecture !== "jumprelu") return [{ label: "as it comes", trainer: {}, sae: { k } }];
    return [0.1, 1, 10].map((c) => ({
      label: `l0_coefficient ${c}`,
      trainer: {},
      sae: { l0_coefficient: c },
    }));
  }
  if (library === "dictionary_learning") {
    // its warm-ups of 1,000 and 2,000 steps and its first threshold at step 1,000 would be all of a run as short as this
    const short = Math.min(1000, steps / 10);
    const own: Candidate["trainer"] =
      architecture === "jumprelu"
        ? { sparsity_warmup_steps: 2 * short }
        : { threshold_start_step: short };
    return [
      {
        label: "as it comes, warm-ups a tenth of the steps",
        trainer: { warmup_steps: short, ...own },
      },
    ];
  }
  return [{ label: "as it comes", trainer: {} }];
}

/** The candidates at one learning rate: the first is tried at every rate, the others at the rate that serves it best. */
export function candidatesAt(
  library: Library,
  architecture: Compared,
  { k, batch, steps }: QualitySizes,
  lr: number,
): readonly Candidate[] {
  const warm = Math.round(steps * warmup);
  const fall = Math.round(steps * decay);
  const isJump = architecture === "jumprelu";
  if (library === "ours") return [{ label: `lr ${lr}`, trainer: { lr } }];
  if (library === "saelens") {
    const trainer = { lr, lr_warm_up_steps: warm, lr_decay_steps: fall };
    const sae = { normalize_activations: "expected_average_only_in" };
    if (!isJump) {
      const window = Math.round(deadAfter / batch);
      return [
        { label: `lr ${lr}`, trainer, sae: { ...sae, k } },
        {
          label: `lr ${lr}, dead after ${deadAfter} tokens`,
          trainer: { ...trainer, dead_feature_window: window },
          sae: { ...sae, k },
        },
      ];
    }
    // Gemma Scope 2's penalty, which steers to a target as ours and dictionary_learning's do
    const target = {
      ...sae,
      jumprelu_sparsity_loss_mode: "quadratic",
      target_l0: k,
      l0_warm_up_steps: Math.round(steps * sparsityWarmup),
    };
    return [
      { label: `lr ${lr}`, trainer, sae: target },
      {
        label: `lr ${lr}, bandwidth and first threshold 0.5`,
        trainer,
        sae: { ...target, jumprelu_bandwidth: 0.5, jumprelu_init_threshold: 0.5 },
      },
    ];
  }
  if (library === "sparsify") {
    return [
      { label: `Adam, lr ${lr}`, trainer: { optimizer: "adam", lr, warmup: warm } },
      { label: `signum, lr ${lr}`, trainer: { lr } },
      { label: `signum, lr ${4 * lr}`, trainer: { lr: 4 * lr } },
      {
        label: `Adam, lr ${lr}, AuxK 1/32, dead after ${deadAfter} tokens`,
        trainer: { optimizer: "adam", lr, warmup: warm, auxk_alpha: 1 / 32, dead: deadAfter },
      },
    ];
  }
  const trainer = { lr, warmup_steps: warm, decay_start: steps - fall };
  if (!isJump) {
    const threshold_start_step = Math.round(steps / 2);
    return [
      { label: `lr ${lr}`, trainer: { ...trainer, threshold_start_step } },
      {
        label: `lr ${lr}, dead after ${deadAfter} tokens`,
        trainer: { ...trainer, threshold_start_step, dead: deadAfter },
      },
    ];
  }
  const own = { ...trainer, sparsity_warmup_steps: Math.round(steps * sparsityWarmup) };
  return [
    { label: `lr ${lr}`, trainer: own },
    // ours in its frame, where activations have norm 1 and not √d
    { label: `lr ${lr}, bandwidth 0.05`, trainer: { ...own, bandwidth: 0.05 } },
  ];
}

/** Our options for a candidate. */
export function ownOptions(
  { trainer }: Candidate,
  architecture: SaeArchitecture,
  { k, steps }: QualitySizes,
): Partial<SaeTrainOptions> & Pick<SaeTrainOptions, "steps"> {
  return { steps, ...(architectures[architecture].k === "none" && { targetL0: k }), ...trainer };
}

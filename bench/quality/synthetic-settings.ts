/**
 * What the benchmark on known features trains, for bench:synthetic and the suite's small comparison: the settings, and
 * SAELens's candidates with the shares of warm-up and decay that ours have.
 */
import { architectures, type SaeArchitecture } from "../../sae/index.ts";
import type { SyntheticOptions } from "../../test/support/synthetic-features.ts";
import type { Candidate } from "./settings.ts";

/** Features and the SAEs that are to find them. */
export interface SyntheticSetting {
  readonly d_in: number;
  readonly features: number;
  readonly families?: SyntheticOptions["families"];
  readonly d_sae: number;
  /** Features that fire on average, and latents that are to. */
  readonly k: number;
  /** Matryoshka's prefixes. */
  readonly widths: readonly number[];
  readonly steps: number;
  readonly batch: number;
}

/** As many latents as features; many more features than latents; and, fewer latents than features too, families. */
export const syntheticSettings: readonly SyntheticSetting[] = [
  { d_in: 24, features: 48, d_sae: 48, k: 4, widths: [12, 24, 48], steps: 350, batch: 512 },
  { d_in: 32, features: 192, d_sae: 64, k: 6, widths: [8, 16, 32, 64], steps: 700, batch: 512 },
  {
    ...{ d_in: 32, features: 40, families: { children: 4, share: 0.8 } },
    ...{ d_sae: 24, k: 2, widths: [8, 24], steps: 600, batch: 512 },
  },
];

/** Batches without a firing after which a latent is dead, on both sides. */
const deadBatches = 20;

/**
 * Our candidates at a rate: one, or where SAELens's sweep of an L1 coefficient has led it to the L0 `goal`, targets
 * about it, since a target is missed by some percent.
 */
export function oursAt(
  architecture: SaeArchitecture,
  lr: number,
  { batch }: SyntheticSetting,
  goal: number,
): readonly Candidate[] {
  const trainer = { lr, deadAfterTokens: deadBatches * batch };
  if (!sweeps(architecture)) return [{ label: `lr ${lr}`, trainer }];
  return [0.92, 0.96, 1, 1.04, 1.08].map((factor) => ({
    label: `lr ${lr}, L0 ${factor}`,
    trainer: { ...trainer, targetL0: factor * goal },
  }));
}

/** Whether SAELens steers the sparsity of this one by a coefficient alone. */
export function sweeps(architecture: SaeArchitecture): boolean {
  return architecture === "standard" || architecture === "gated";
}

/** SAELens's candidates at a rate: one, or the steps of a sweep where its penalty has a coefficient and no target. */
export function saelensAt(
  architecture: SaeArchitecture,
  lr: number,
  { k, widths, steps }: SyntheticSetting,
): readonly Candidate[] {
  const trainer = {
    ...{ lr, lr_warm_up_steps: Math.round(steps * 0.05), lr_decay_steps: Math.round(steps * 0.3) },
    dead_feature_window: deadBatches,
  };
  const sae = { normalize_activations: "expected_average_only_in" };
  const warm = Math.round(steps * 0.1);
  if (sweeps(architecture)) {
    return [0.3, 0.6, 1.2, 2.4].map((c) => ({
      label: `lr ${lr}, l1_coefficient ${c}`,
      trainer,
      sae: { ...sae, l1_coefficient: c, l1_warm_up_steps: warm },
    }));
  }
  if (architectures[architecture].k === "none") {
    const target = { jumprelu_sparsity_loss_mode: "quadratic", target_l0: k };
    return [{ label: `lr ${lr}`, trainer, sae: { ...sae, ...target, l0_warm_up_steps: warm } }];
  }
  const nested = architecture === "matryoshka_batchtopk" ? { matryoshka_widths: widths } : {};
  return [{ label: `lr ${lr}`, trainer, sae: { ...sae, k, ...nested } }];
}

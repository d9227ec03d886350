/** @file The control trajectories that a run can train beside the carried one, by name. */

/** Their names. */
export const armNames = [
  "frozen",
  "fresh",
  "fresh-parent",
  "same-model",
  "reinit",
  "scratch",
  "carried-scratch",
  "no-expand",
  "rotated",
  "perturbed",
  "crosscoder",
  "crosscoder-reinit",
] as const;

/** One of them. */
export type Arm = (typeof armNames)[number];

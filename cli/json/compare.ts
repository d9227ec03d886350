// persistence.json, which `compare --json` prints too, and what its dry run prints.
import { z } from "zod";
import type { ComparedDocument } from "../commands/compare.ts";
import { crosscoder } from "./crosscoder.ts";
import { count, estimate, header, interval, measured, text, threshold } from "./values.ts";

const cell = z.strictObject({ function: measured, match: measured, ci: interval });

const curve = z.array(z.strictObject({ tokens: count, fvu: z.number() }));

const returned = {
  way_back: estimate.describe(
    "of the way from where they were put to where the same latents, never turned, ended, in mean cosine to the parent's direction: 0 = stayed, 1 = as if never turned",
  ),
  returned: estimate.describe("cosine ≥ .9 to the parent's direction after training"),
  stayed: estimate.describe("cosine ≥ .9 to where they were put"),
  to_parent: z.number().describe("mean cosine to the parent's direction after training"),
};

const compared = z
  .strictObject({
    a: text,
    b: text,
    hook_a: text,
    hook_b: text,
    map: z.enum(["exact", "published", "fitted", "copied", "same"]),
    r2: measured.describe("of a map that is not exact, on rows that it was not fitted on"),
    unpaired_a: count.describe("rows that the other side lacks"),
    unpaired_b: count,
  })
  .describe("what `compare` compared; absent in a run");

const freshWord = z.strictObject({
  called: count.describe("so called if the fresh SAEs' word stands"),
  mirror: count
    .nullable()
    .describe(
      "the same with the fresh SAEs of parent and child exchanged: what chance does; null without either",
    ),
  stands: z.boolean().describe("(1 + mirror) / called is at most .2"),
});

type Comparison = Omit<ComparedDocument, "compared"> & Partial<Pick<ComparedDocument, "compared">>;

const probeSource = z.strictObject({
  r2: z.number().describe("median R² on held-out halves"),
  read: z.number().describe("share with at least .8 of the parent's R²"),
});

/** persistence.json. */
export const compare: z.ZodType<Comparison> = z.strictObject({
  ...header("compare"),
  stage: text,
  name: text.describe("the SAE"),
  tokens: count,
  arms: z.array(
    z.strictObject({
      arm: text,
      role: z.enum([
        "carried",
        "carried-start",
        "frozen",
        "fresh",
        "scratch",
        "carried-scratch",
        "same-model",
        "fresh-parent",
        "reinit",
        "no-expand",
        "rotated",
        "perturbed",
        "perturbed-reinit",
        "continued",
      ]),
      sae: text,
      seed: z.int(),
      lr: measured.describe(
        "peak learning rate of its last training: carry.lr of what goes on, saes[].lr of fresh SAEs; null = untrained or not known",
      ),
      l0: measured,
      fvu: measured,
      ce_loss_score_zero: measured,
      matched: z.boolean().nullable().describe("L0 and FVU within 5% of the carried arm's"),
      function: measured.describe(
        "share of the parent latents that fire often enough with a function match",
      ),
      match: measured,
    }),
  ),
  thresholds: z.strictObject({
    cosine: threshold,
    correlation: threshold,
    containment: z.number(),
    gain: z
      .strictObject({ split: threshold, merged: threshold })
      .describe("R² of a set of pieces above the best single latent's"),
  }),
  counts: z.strictObject({
    unknown: count,
    persisted: count,
    carried_only: count,
    split: count.describe("its firings are shared out among several child latents"),
    absorbed: count.describe("it went on, other child latents took part of its firings"),
    merged: count.describe("it shares one child latent with other parent latents"),
    drifted_direction: count,
    drifted_meaning: count,
    uncertain: count,
    died: count,
    lost_by_sae: count,
    born: count.describe("child latents"),
    uncovered: count.describe("child latents"),
  }),
  fresh_alone: z
    .strictObject({ split: freshWord, merged: freshWord })
    .describe(
      "verdicts that rest on fresh SAEs alone, absorbed ones among the split; in groups of redundant latents",
    ),
  eligible: count.describe(
    "parent latents that are not unknown: what shares of verdicts are of; cells have those too that no fresh parent SAE found",
  ),
  persisted: estimate,
  reinit_persisted: estimate.describe("the same rule on a random-weights child"),
  start_kept: estimate.describe("persisted or carried_only before any training"),
  inertia: z.strictObject({
    carried: measured,
    carried_scratch: measured,
    reinit: measured,
    rotated: measured.describe("the carried dictionary, turned as a whole before it trained on"),
  }),
  perturb_and_return: z
    .strictObject({
      turned: count.describe("latents turned by 45° to 60° that can be judged"),
      ...returned,
      unturned: measured.describe("the same latents, not turned, in the carried arm"),
      put_to_parent: z.number().describe("mean cosine to the parent's direction before training"),
      unturned_to_parent: measured.describe("of the same latents, not turned, after training"),
      reinit: z.strictObject(returned).nullable().describe("in a child with random weights"),
    })
    .nullable(),
  continuation: z
    .array(
      z.strictObject({
        times: z.number().describe("of the stage's SAE tokens; 0 = untrained"),
        function: measured,
        match: measured,
        ci: interval,
        to_start: measured.describe("share with a cosine ≥ τ to their start"),
        l0: measured,
        fvu: measured,
      }),
    )
    .nullable()
    .describe("the carried SAE by how long it trained on"),
  cells: z.strictObject({
    CG: cell.nullable(),
    FG: cell.nullable(),
    CS: cell.nullable(),
    FS: cell.nullable(),
    CP: cell.nullable(),
    FP: cell.nullable(),
  }),
  corrected: estimate.describe("(CG − CS)/(CP − CS)"),
  inheritance: z.strictObject({ value: measured, ci: interval, of_findable: measured }),
  carry_bonus: estimate.describe("(CG − CS) − (FG − FS)"),
  tokens_ratio: measured,
  unstable: z
    .strictObject({ latents: count, overlap: z.number(), null_p99: measured })
    .nullable()
    .describe("latents that fresh seeds rarely find: median overlap of the subspaces they live in"),
  probes: z
    .strictObject({
      latents: count.describe("eligible latents that a probe reads from the parent"),
      parent: probeSource,
      child: probeSource,
      inherited: probeSource
        .nullable()
        .describe(
          "what of the child lies in the inherited subspace; null without a map, and where the child is no wider",
        ),
      scratch: probeSource.nullable().describe("a from-scratch model of the child's size"),
      random: probeSource.nullable().describe("random weights"),
    })
    .nullable()
    .describe("linear probes of the parent's latents, by what they read from"),
  off_image: measured,
  copy_spread: measured,
  histograms: z.strictObject({
    edges: z.array(z.number()),
    correlation: z.strictObject({
      carried: z.array(count),
      fresh: z.array(count),
      null: z.array(count),
    }),
    cosine: z.strictObject({
      carried: z.array(count),
      reinit: z.array(count),
      null: z.array(count),
    }),
  }),
  curves: z.strictObject({ carried: curve, fresh: z.array(curve) }).optional(),
  warnings: z.array(text),
  crosscoder: crosscoder.nullable().optional().describe("without the control: null"),
  compared: compared.optional(),
});

/** The answer of `compare --dry-run`. */
export const compareCost: z.ZodType = z.strictObject({
  ...header("compare-cost"),
  rows: count,
  unpaired_a: count,
  unpaired_b: count,
  memory_bytes: count,
});

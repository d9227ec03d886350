// What the activations of the models say of each latent, with or without an SAE: how well a probe
// reads each parent latent from the parent, the child, what it inherited, a from-scratch and a random-weights
// model, the same of each latent of the carried SAE, and the latent scaling of the parent's. One pass over the activations
// of each model serves all, and only one model's sums are held at a time.
import { type ArmInput, type Dictionary, type ProbeInput, writesWhereItReads } from "./input.ts";
import { childScaling, scalingRatio, scalingSlopes } from "./latent-scaling.ts";
import { activationCovariance, probeScores, probeSums } from "./probe.ts";
import { inheritedScores, type ParentProbes } from "./probe-summary.ts";
import type { ProbeEvidence } from "./verdicts.ts";

/** Held-out R² of the probes of every latent. */
export interface Readability extends ParentProbes {
  /** Of latents of the carried SAE: `own` from the child, `other` from the parent. */
  readonly child: readonly ProbeEvidence[]; // [nChild]
  /** Latent scaling of parent latents, child over parent; null without a map, and for transcoders. */
  readonly beta: Float64Array | null; // [nParent]
  /** Covariance of the child's activations. */
  readonly covariance: Float64Array; // [D, D]
}

/** Fits and scores all probes; `half[t]` as in probeSums. */
export async function readability(
  probes: ProbeInput,
  parent: Dictionary,
  carried: ArmInput,
  half: Uint8Array,
  ridge: number,
): Promise<Readability> {
  const targets = [parent.codes, carried.codes];
  const read = async <Extra>(
    stream: NonNullable<ProbeInput["random"]>,
    where: string,
    extra: (sums: Awaited<ReturnType<typeof probeSums>>) => Extra,
  ): Promise<{ scores: [Float64Array, Float64Array]; extra: Extra }> => {
    const sums = await probeSums(stream, targets, half, where);
    return {
      scores: [probeScores(sums, 0, ridge), probeScores(sums, 1, ridge)],
      extra: extra(sums),
    };
  };
  const { frame } = carried;
  // what a transcoder writes is not in the activations that are read
  const scaled = writesWhereItReads(parent) && writesWhereItReads(carried) ? frame : null;
  const own = { readout: parent.W_dec, direction: parent.W_dec };
  const onParent = await read(
    probes.parent,
    "activations of the parent",
    (sums) => scaled && scalingSlopes(sums, 0, own),
  );
  const onChild = await read(probes.child, "activations of the child", (sums) => ({
    slopes: scaled && scalingSlopes(sums, 0, childScaling(parent.W_dec, scaled)),
    covariance: activationCovariance(sums),
    // in a child that is no wider the inherited subspace is the whole
    inherited:
      frame && sums.dIn > probes.parent.dIn
        ? inheritedScores(sums, frame, probes.parent.dIn, ridge)
        : null,
  }));
  const onRandom =
    probes.random &&
    (await read(probes.random, "activations of the random-weights model", () => null));
  const scratch = probes.scratch
    ? probeScores(
        await probeSums(
          probes.scratch,
          [parent.codes],
          half,
          "activations of the from-scratch model",
        ),
        0,
        ridge,
      )
    : null;
  const evidence = (of: Float64Array, other: Float64Array, which: 0 | 1): ProbeEvidence[] =>
    Array.from(of, (own, i) => ({
      own,
      other: other[i],
      random: onRandom?.scores[which][i] ?? Number.NaN,
    }));
  return {
    parent: evidence(onParent.scores[0], onChild.scores[0], 0),
    inherited: onChild.extra.inherited,
    scratch,
    child: evidence(onChild.scores[1], onParent.scores[1], 1),
    beta: onChild.extra.slopes && scalingRatio(onChild.extra.slopes, onParent.extra!),
    covariance: onChild.extra.covariance,
  };
}

// The probe witness for both sides: how well each parent latent is read from the parent, the child
// and a random-weights model, and each latent of the carried SAE from the same three. One pass over
// the activations of each model serves both.
import type { ArmInput, Dictionary, ProbeInput } from "./input.ts";
import { activationCovariance, probeScores, probeSums } from "./probe.ts";
import type { ProbeEvidence } from "./verdicts.ts";

/** Held-out R² of the probes of every latent. */
export interface Readability {
  /** Of parent latents: `own` from the parent, `other` from the child. */
  readonly parent: readonly ProbeEvidence[]; // [nParent]
  /** Of latents of the carried SAE: `own` from the child, `other` from the parent. */
  readonly child: readonly ProbeEvidence[]; // [nChild]
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
  const onParent = await probeSums(probes.parent, targets, half, "activations of the parent");
  const onChild = await probeSums(probes.child, targets, half, "activations of the child");
  const onRandom =
    probes.random &&
    (await probeSums(probes.random, targets, half, "activations of the random-weights model"));
  const scores = (which: number): [Float64Array, Float64Array, Float64Array | null] => [
    probeScores(onParent, which, ridge),
    probeScores(onChild, which, ridge),
    onRandom && probeScores(onRandom, which, ridge),
  ];
  const [parentOnParent, parentOnChild, parentOnRandom] = scores(0);
  const [childOnParent, childOnChild, childOnRandom] = scores(1);
  return {
    parent: Array.from(parentOnParent, (own, i) => ({
      own,
      other: parentOnChild[i],
      random: parentOnRandom?.[i] ?? Number.NaN,
    })),
    child: Array.from(childOnChild, (own, j) => ({
      own,
      other: childOnParent[j],
      random: childOnRandom?.[j] ?? Number.NaN,
    })),
    covariance: activationCovariance(onChild),
  };
}

/**
 * @file The field's usual rules for "the same feature", on the same dictionaries, to stand beside ours: cosine of the
 * latent of the same index (stage-wise diffing), SAE-Track's drift (arXiv 2412.17626), Hungarian matching on cosines as
 * in PW-MCC (arXiv 2505.20254) with the usual cut of .7, mutual nearest neighbours. All look at decoder directions alone;
 * parent directions are mapped by E first, or none of them would apply between two widths.
 */
import { directions, rowCosine } from "../persistence/cosine.ts";
import type { ArmInput, Dictionary } from "../persistence/input.ts";
import { bestAssignment } from "./assignment.ts";

/** The cosine from which these rules call two directions the same. */
const usualCosine = 0.7;

/** A rule's word on each latent; `other` where it has none. */
export interface BaselineVerdicts {
  readonly parent: readonly string[];
  readonly child: readonly string[];
}

/** The rules by name. Those of an index need the carried arm; the others take any arm with a frame. */
export const baselines: Readonly<
  Record<
    string,
    { readonly byIndex: boolean; readonly judge: (cosines: Cosines) => BaselineVerdicts }
  >
> = {
  "index cosine": { byIndex: true, judge: indexCosine },
  "SAE-Track drift": { byIndex: true, judge: trackedDrift },
  "Hungarian cosine": { byIndex: false, judge: hungarian },
  "mutual nearest": { byIndex: false, judge: mutualNearest },
};

/** Cosines between all mapped parent directions and all of an arm's. */
export interface Cosines {
  readonly nParent: number;
  readonly nChild: number;
  readonly values: Float64Array; // [nParent, nChild]
}

/** Measures them. Errors: `internal:` for an arm without a frame. A zero row has the cosine 0 to everything. */
export function allCosines(parent: Dictionary, arm: ArmInput): Cosines {
  if (arm.frame === null) throw new Error(`internal: arm ${arm.arm} has no frame`);
  const mapped = directions(arm.frame.decoder(parent.W_dec), arm.d_in);
  const own = directions(arm.W_dec, arm.d_in);
  const values = new Float64Array(mapped.n * own.n);
  for (let i = 0; i < mapped.n; i++) {
    for (let j = 0; j < own.n; j++) values[i * own.n + j] = rowCosine(mapped, i, own, j) || 0;
  }
  return { nParent: mapped.n, nChild: own.n, values };
}

/** Same index, cosine ≥ .7: the same feature. Of the rest it says nothing. */
function indexCosine({ nParent, nChild, values }: Cosines): BaselineVerdicts {
  const parent = Array.from({ length: nParent }, (_, i) =>
    values[i * nChild + i] >= usualCosine ? "persisted" : "other",
  );
  return { parent, child: childrenOf(nChild, (j) => (j < nParent ? parent[j] : "other")) };
}

/** Identity by index throughout; a latent whose direction left its start has drifted, and none can be lost. */
function trackedDrift({ nParent, nChild, values }: Cosines): BaselineVerdicts {
  const parent = Array.from({ length: nParent }, (_, i) =>
    values[i * nChild + i] >= usualCosine ? "persisted" : "drifted_direction",
  );
  return { parent, child: childrenOf(nChild, (j) => (j < nParent ? parent[j] : "other")) };
}

/** The one-to-one matching with the largest sum of cosines; pairs ≥ .7 are shared, the rest is each model's own. */
function hungarian({ nParent, nChild, values }: Cosines): BaselineVerdicts {
  const isWide = nParent <= nChild;
  const turned = isWide ? values : new Float64Array(values.length);
  if (!isWide) {
    for (let i = 0; i < nParent; i++) {
      for (let j = 0; j < nChild; j++) turned[j * nParent + i] = values[i * nChild + j];
    }
  }
  const [rows, columns] = isWide ? [nParent, nChild] : [nChild, nParent];
  const partner = bestAssignment(turned, rows, columns);
  const parent = new Array<string>(nParent).fill("died");
  const child = new Array<string>(nChild).fill("born");
  for (const [row, column] of partner.entries()) {
    const [i, j] = isWide ? [row, column] : [column, row];
    if (values[i * nChild + j] < usualCosine) continue;
    parent[i] = "persisted";
    child[j] = "persisted";
  }
  return { parent, child };
}

/** Each other's nearest by cosine, however far; the rest is each model's own. */
function mutualNearest({ nParent, nChild, values }: Cosines): BaselineVerdicts {
  const nearest = new Int32Array(nParent);
  const claimant = new Int32Array(nChild);
  for (let i = 0; i < nParent; i++) {
    for (let j = 0; j < nChild; j++) {
      const cosine = values[i * nChild + j];
      if (cosine > values[i * nChild + nearest[i]]) nearest[i] = j;
      if (cosine > values[claimant[j] * nChild + j]) claimant[j] = i;
    }
  }
  return {
    parent: Array.from(nearest, (j, i) => (claimant[j] === i ? "persisted" : "died")),
    child: Array.from(claimant, (i, j) => (nearest[i] === j ? "persisted" : "born")),
  };
}

function childrenOf(n: number, verdict: (j: number) => string): string[] {
  return Array.from({ length: n }, (_, j) => verdict(j));
}

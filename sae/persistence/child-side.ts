// The child's side of a comparison: which latents of the carried SAE have an ancestor in the parent,
// which are new (born) and which were there all along without a latent of their own (uncovered).
// The carried SAE alone is a bad witness for births (about half are false in planted data), so at
// least half the fresh child SAEs must agree where there are any.
import { pairReplicates, type Resampling } from "./bootstrap.ts";
import { withLevels } from "./containment.ts";
import { firingCount, firingsOf } from "./firings.ts";
import { reappearance } from "./fresh.ts";
import { type FunctionMatches, functionMatches, type Side, upperEnd } from "./function-matches.ts";
import type { ArmInput } from "./input.ts";
import type { PartMatches } from "./part-matches.ts";
import {
  type ChildVerdict,
  childVerdict,
  isAncestral,
  type ParentVerdict,
  type ProbeEvidence,
  parentVerdicts,
  type Verdict,
  type VerdictRule,
} from "./verdicts.ts";

/**
 * For each child latent the share of fresh child SAEs with a function match; null without any, NaN where it fires too
 * rarely. `correlation` is one τ for all, the largest: no null was drawn for child latents, and a τ too high only lets
 * fewer of them be born.
 */
export function childFreshRate(
  child: Side,
  fresh: readonly ArmInput[],
  correlation: number,
  containment: number,
): Float64Array | null {
  const tau = new Float64Array(child.firings.nLatents).fill(correlation);
  const found = fresh.map(({ arm, codes }) => {
    const firings = withLevels(firingsOf(codes, `arm ${arm}: codes`));
    return functionMatches(child, codes, firings, tau, containment).found;
  });
  const rate = reappearance(found);
  return rate && Float64Array.from(child.groups.of, (g) => (g < 0 ? Number.NaN : rate[g]));
}

/** What the verdicts on child latents rest on. */
export interface ChildContext {
  readonly parent: Side;
  readonly child: Side;
  /** The parent's groups in the child. */
  readonly matches: FunctionMatches;
  readonly verdicts: readonly Verdict[]; // [parent groups]
  /** Latents of the carried SAE that are pieces of a parent's, or that several merged into. */
  readonly parts: PartMatches;
  /** τ of correlation of each parent latent. */
  readonly tau: Float64Array; // [nParent]
  readonly freshRate: Float64Array | null; // [nChild]
  readonly probe: (latent: number) => ProbeEvidence | null;
  readonly rule: VerdictRule;
  readonly resampling: Resampling;
}

/** The verdict on every child latent. */
export function childVerdicts(context: ChildContext): Verdict<ChildVerdict>[] {
  const { parent, child, matches, tau, rule } = context;
  const { relative, relativeCorrelation } = matches.matches;
  const inherited = ancestry(context);
  return Array.from({ length: child.firings.nLatents }, (_, j) => {
    const firings = firingCount(child.firings, j);
    const correlation = relativeCorrelation[j];
    const correlationThreshold = tau[relative[j]] ?? Number.NaN;
    // Only where it can still matter is the interval worth its price.
    const open = firings >= rule.minFirings && correlation < correlationThreshold;
    return childVerdict(
      {
        firings,
        parent: relative[j],
        correlation,
        correlationHigh: open
          ? upperEnd(
              pairReplicates(parent.firings, relative[j], child.firings, j, context.resampling)
                .correlation,
            )
          : correlation,
        correlationThreshold,
        inherited: inherited.get(j) ?? null,
        freshRate: context.freshRate?.[j] ?? null,
        probe: context.probe(j),
      },
      rule,
    );
  });
}

/**
 * The verdict of the parent latent that each child latent descends from: the one whose mutual match it is, or else one
 * that it is a piece of, that merged into it, or that kept its direction in it. In the order of the rule, so that the
 * order of the parent's latents does not matter.
 */
function ancestry({ matches, verdicts, parts }: ChildContext): Map<number, ParentVerdict> {
  const { child: partner, mutual } = matches.groups;
  const inherited = new Map<number, ParentVerdict>();
  verdicts.forEach(({ verdict }, g) => {
    if (mutual[g] === 1 && isAncestral(verdict)) inherited.set(partner[g], verdict);
  });
  const heirsOf: Partial<Record<ParentVerdict, (g: number) => readonly number[]>> = {
    split: (g) => parts.split[g]?.members ?? [],
    absorbed: (g) => parts.split[g]?.members ?? [],
    merged: (g) => (parts.merged[g] ? [parts.merged[g].child] : []),
    drifted_meaning: (g) => [partner[g]],
  };
  for (const name of parentVerdicts) {
    verdicts.forEach(({ verdict }, g) => {
      if (verdict !== name) return;
      for (const j of heirsOf[name]?.(g) ?? []) if (!inherited.has(j)) inherited.set(j, name);
    });
  }
  return inherited;
}

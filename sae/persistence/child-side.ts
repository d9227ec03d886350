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
  type Verdict,
  type VerdictRule,
} from "./verdicts.ts";

/** For each child latent the share of fresh child SAEs with a function match; null without any, NaN where it fires too rarely. */
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
  readonly correlationThreshold: number;
  readonly freshRate: Float64Array | null; // [nChild]
  readonly probe: (latent: number) => ProbeEvidence | null;
  readonly rule: VerdictRule;
  readonly resampling: Resampling;
}

/** The verdict on every child latent. */
export function childVerdicts(context: ChildContext): Verdict<ChildVerdict>[] {
  const { parent, child, matches, parts, correlationThreshold, rule } = context;
  const { child: partner, mutual } = matches.groups;
  const { relative, relativeCorrelation } = matches.matches;
  const inherited = new Map<number, ParentVerdict>();
  context.verdicts.forEach(({ verdict }, g) => {
    const j = partner[g];
    if (j >= 0 && (mutual[g] === 1 || !inherited.has(j))) inherited.set(j, verdict);
  });
  // A piece that is no group's own heir descends from the latent it is a piece of.
  const adopt = (j: number, verdict: ParentVerdict): void => {
    const own = inherited.get(j);
    if (own === undefined || !isAncestral(own)) inherited.set(j, verdict);
  };
  context.verdicts.forEach(({ verdict }, g) => {
    if (verdict === "merged" && parts.merged[g]) adopt(parts.merged[g].child, verdict);
    if (verdict === "split" || verdict === "absorbed") {
      for (const j of parts.split[g]?.members ?? []) adopt(j, verdict);
    }
  });
  return Array.from({ length: child.firings.nLatents }, (_, j) => {
    const firings = firingCount(child.firings, j);
    const correlation = relativeCorrelation[j];
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

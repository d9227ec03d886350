/**
 * The columns effect_cos and effect_ratio of persistence/<name>.arrow: what taking a latent out of the parent and its
 * match out of the child does to the logits, on some mutual matches, evenly spread. Both models are run on one sequence
 * a pair.
 */
import { loadSae, type SparseCodes } from "../../../sae/index.ts";
import { ablationEffects, type PersistenceRows } from "../../../sae/persistence/index.ts";
import type { TokenSet } from "../../../src/data/index.ts";
import { loadModel, placeModel } from "../../../src/models/index.ts";
import { effectPairs } from "../../plan/defaults.ts";
import { modelDir, saeDir } from "../layout.ts";
import type { TaskContext } from "../task-context.ts";
import { firstTokensExcluded } from "./held-out.ts";

/** Verdicts on parent latents that the carried SAE has no match for, whichever latent is nearest. */
const unmatched: ReadonlySet<string> = new Set(["unknown", "died", "lost_by_sae"]);

/**
 * Rows of parent latents whose first match names them as its own first: of redundant latents, and of several that merged,
 * the one that the child's latent is most like.
 */
export function mutualMatches({
  side,
  latent,
  verdict,
  matches,
}: Pick<PersistenceRows, "side" | "latent" | "verdict" | "matches">): number[] {
  const childRow = new Map<number, number>();
  for (const [row, of] of side.entries()) if (of === "child") childRow.set(latent[row], row);
  return [...side.keys()].filter((row) => {
    if (side[row] !== "parent" || unmatched.has(verdict[row]) || matches[row].length === 0) {
      return false;
    }
    const match = childRow.get(matches[row][0]);
    return match !== undefined && matches[match][0] === latent[row];
  });
}

/** `rows` with the effects of parent latents and their first matches; `codes` are those of `set` without first tokens. */
export async function withEffects(
  context: TaskContext,
  stage: number,
  name: string,
  rows: PersistenceRows,
  codes: { readonly parent: SparseCodes; readonly child: SparseCodes },
  set: TokenSet,
): Promise<PersistenceRows> {
  const { plan } = context;
  const matched = mutualMatches(rows);
  const count = Math.min(effectPairs, matched.length);
  const chosen = Array.from(
    { length: count },
    (_, i) => matched[Math.floor((i * matched.length) / count)],
  );
  const side = (at: number, own: SparseCodes) => ({
    model: placeModel(loadModel(context.path(modelDir(plan, at)))),
    sae: loadSae(context.path(saeDir(plan, at, name))),
    codes: own,
  });
  const [parent, child] = [side(stage - 1, codes.parent), side(stage, codes.child)];
  try {
    const pairs = chosen.map((row) => [rows.latent[row], rows.matches[row][0]] as const);
    const { cos, ratio } = await ablationEffects(parent, child, set, pairs, {
      skip: firstTokensExcluded,
      pause: () => context.pause(),
    });
    const [effect_cos, effect_ratio] = [rows.effect_cos.slice(), rows.effect_ratio.slice()];
    for (const [i, row] of chosen.entries()) {
      effect_cos[row] = cos[i];
      effect_ratio[row] = ratio[i];
    }
    return { ...rows, effect_cos, effect_ratio };
  } finally {
    parent.model.dispose();
    child.model.dispose();
  }
}

/**
 * The columns effect_cos and effect_ratio of persistence/<name>.arrow: what taking a latent out of the parent and its
 * match out of the child does to the logits, on some pairs, evenly spread. Both models are run on one sequence a pair.
 */
import { loadSae, type SparseCodes } from "../../../sae/index.ts";
import { ablationEffects, type PersistenceRows } from "../../../sae/persistence/index.ts";
import type { TokenSet } from "../../../src/data/index.ts";
import { loadModel, placeModel } from "../../../src/models/index.ts";
import { effectPairs } from "../../plan/defaults.ts";
import { modelDir, saeDir } from "../layout.ts";
import type { TaskContext } from "../task-context.ts";
import { firstTokensExcluded } from "./held-out.ts";

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
  const matched = [...rows.side.keys()].filter(
    (row) =>
      rows.side[row] === "parent" && rows.firings_parent[row] > 0 && rows.firings_child[row] > 0,
  );
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

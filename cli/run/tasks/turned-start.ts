/** What a turned arm begins with: drawn anew, and the same, wherever it is needed. */
import { type Sae, type TurnedSae, turnAll, turnLatents } from "../../../sae/index.ts";
import { stageName } from "../layout.ts";
import type { SaeJobSpec } from "../task.ts";
import type { TaskContext } from "../task-context.ts";

/** Share of the carried latents that perturb-and-return turns. */
const turnedShare = 0.1;

/** The carried SAE of a stage as an arm's `turn` has it; all arms of a kind turn alike. */
export function turnedStart(
  context: TaskContext,
  stage: number,
  name: string,
  carried: Sae,
  turn: SaeJobSpec["turn"],
): TurnedSae {
  const rng = context.rng(`turn ${stageName(context.plan, stage)} ${name}`);
  if (turn === "some") return turnLatents(carried, carried.cfg.d_sae, turnedShare, rng);
  const sae = turn === "all" ? turnAll(carried, rng) : carried;
  return { sae, turned: new Int32Array(0) };
}

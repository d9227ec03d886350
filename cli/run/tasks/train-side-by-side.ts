/**
 * @file SAEs of any hooks, widths, architectures and seeds trained side by side on activations that are read once,
 * with progress, curves in metrics.jsonl and a state to go on from. Each ends with the bytes it would have alone:
 * which activations a step takes depends on the stage's seed and the SAE's batch alone.
 */
import {
  type ActivationSource,
  createSaeTrainer,
  type Sae,
  type SaeJob,
  type SaeTrainer,
  type SaeTrainOptions,
  type SequenceReader,
  type SharedActivations,
  sharedActivations,
} from "../../../sae/index.ts";
import type { Rng } from "../../../src/engine/index.ts";
import type { HostTensor } from "../../../src/io/index.ts";
import type { SaePlan } from "../../plan/types.ts";
import type { SavedState, TaskContext } from "../task-context.ts";

/** Points of an SAE's training curve. */
export const curvePoints = 60;

/** One SAE to train. */
export interface TrainedArm {
  readonly sae: SaePlan;
  readonly source: ActivationSource;
  /** Named for its arm. */
  readonly job: SaeJob;
  readonly steps: number;
  /** Peak learning rate; default: the SAE's own. */
  readonly lr?: number;
}

/** A stream for each SAE; those that read alike share what they read. `rng` names the order of all of them. */
export function saeStreams(
  saes: readonly {
    readonly sae: SaePlan;
    readonly hook: string;
    readonly hookOut?: string | null;
  }[],
  reader: (hooks: readonly string[]) => SequenceReader,
  rng: Rng,
): ActivationSource[] {
  const keys = saes.map(({ sae }) => `${sae.batch_tokens} ${sae.max_norm_ratio}`);
  const streams = new Map<string, SharedActivations>();
  for (const [i, { sae }] of saes.entries()) {
    if (streams.has(keys[i])) continue;
    const alike = saes.filter((_, j) => keys[j] === keys[i]);
    const hooks = new Set(alike.flatMap(({ hook, hookOut }) => (hookOut ? [hook, hookOut] : hook)));
    const { batch_tokens: batchSize, max_norm_ratio: maxNormRatio } = sae;
    streams.set(keys[i], sharedActivations(reader([...hooks]), { batchSize, maxNormRatio, rng }));
  }
  return saes.map(({ hook, hookOut }, i) =>
    (streams.get(keys[i]) as SharedActivations).at(hook, hookOut),
  );
}

/** Arms of one SAE that train equally long at one rate: one trainer. */
interface Group {
  readonly sae: SaePlan;
  readonly steps: number;
  readonly lr: number;
  readonly arms: readonly TrainedArm[];
  readonly trainer: SaeTrainer;
}

/** Trains every arm to its last step, `metadata` going into saved states; returns the SAEs in their order. Errors: those of trainers; Interrupted with the state saved. */
export async function trainSideBySide(
  context: TaskContext,
  stage: string,
  arms: readonly TrainedArm[],
  saved: SavedState | null,
  metadata: Record<string, string> = {},
): Promise<Sae[]> {
  const groups = await createGroups(arms, saved);
  const most = Math.max(...groups.map(({ steps }) => steps));
  const all = groups.reduce((sum, { steps }) => sum + steps, 0);
  const started = performance.now();
  const from = Math.max(...groups.map(({ trainer }) => trainer.taken));
  for (let taken = from; taken < most; taken++) {
    const figures: Record<string, number> = {};
    for (const group of groups) {
      if (group.trainer.taken >= group.steps) continue;
      const done = await group.trainer.step();
      if (group === groups[0]) {
        const [{ fvu, l0, dead_fraction }] = done.saes;
        Object.assign(figures, { fvu, L0: l0, dead: dead_fraction });
      }
      logStep(context, stage, group, done);
    }
    const seconds = (performance.now() - started) / 1000;
    figures["tokens/s"] = ((taken + 1 - from) * groups[0].sae.batch_tokens) / seconds;
    const made = groups.reduce((sum, { trainer }) => sum + trainer.taken, 0);
    context.progress(made / all, figures);
    await context.breathe(async () => save(context, groups, metadata));
  }
  const trained = new Map(groups.map((group) => [group, group.trainer.saes()]));
  return arms.map((arm) => {
    const group = groups.find(({ arms: own }) => own.includes(arm)) as Group;
    return trained.get(group)?.get(arm.job.name) as Sae;
  });
}

async function createGroups(
  arms: readonly TrainedArm[],
  saved: SavedState | null,
): Promise<Group[]> {
  const keys = [...new Set(arms.map(keyOf))];
  const groups: Group[] = [];
  for (const key of keys) {
    const own = arms.filter((arm) => keyOf(arm) === key);
    const [{ sae, source, steps, lr = sae.lr }] = own;
    const state = saved && withoutPrefix(saved.tensors, key);
    const trainer = await createSaeTrainer(
      source,
      own.map(({ job }) => job),
      {
        steps,
        ...trainingOptions(sae),
        lr,
        ...(state ? { state } : {}),
      },
    );
    groups.push({ sae, steps, lr, arms: own, trainer });
  }
  return groups;
}

/** What the plan says of how an SAE is trained. */
export function trainingOptions(sae: SaePlan): Omit<SaeTrainOptions, "steps" | "partWidths"> {
  return {
    lr: sae.lr,
    warmup: sae.warmup,
    decay: sae.decay,
    beta1: sae.beta1,
    beta2: sae.beta2,
    normalize: sae.normalize_activations,
    kAux: sae.k_aux,
    deadAfterTokens: sae.dead_after_tokens,
    resampleAt: sae.resample_at,
    kWarmup: sae.k_warmup,
    thresholdRate: sae.threshold_rate,
    targetL0: sae.k,
    sparsityWarmup: sae.sparsity_warmup,
    l1Coefficient: sae.l1_coefficient,
    l1Rate: sae.l1_rate,
    gateTrainsDecoder: sae.gate_trains_decoder,
    l0Coefficient: sae.l0_coefficient,
    sparsityMode: sae.sparsity_mode,
    tanhScale: sae.tanh_scale,
    bandwidth: sae.bandwidth,
    initThreshold: sae.init_threshold,
  };
}

/** Prefix of a group's tensors in a saved state; names of SAEs hold no slash. */
function keyOf({ sae, steps, lr = sae.lr }: Pick<TrainedArm, "sae" | "steps" | "lr">): string {
  return `${sae.name}/${steps}/${lr}/`;
}

function logStep(
  context: TaskContext,
  stage: string,
  { sae: { name }, steps }: Group,
  done: Awaited<ReturnType<SaeTrainer["step"]>>,
): void {
  const every = Math.max(1, Math.floor(steps / curvePoints));
  if (done.step % every !== 0 && done.step !== steps && done.step !== 1) return;
  for (const sae of done.saes) {
    context.logMetrics({
      stage,
      arm: sae.name,
      phase: "sae",
      sae: name,
      step: done.step,
      tokens: done.tokens,
      loss: sae.loss,
      lr: done.lr,
      fvu: sae.fvu,
      l0: sae.l0,
      dead_fraction: sae.dead_fraction,
    });
  }
}

function save(
  context: TaskContext,
  groups: readonly Group[],
  metadata: Record<string, string>,
): void {
  const tensors = new Map<string, HostTensor>();
  for (const group of groups) {
    for (const [name, tensor] of group.trainer.state()) tensors.set(keyOf(group) + name, tensor);
  }
  context.save(tensors, metadata);
}

function withoutPrefix(
  tensors: ReadonlyMap<string, HostTensor>,
  prefix: string,
): Map<string, HostTensor> {
  const out = new Map<string, HostTensor>();
  for (const [name, tensor] of tensors) {
    if (name.startsWith(prefix)) out.set(name.slice(prefix.length), tensor);
  }
  return out;
}

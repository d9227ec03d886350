/**
 * Planted truth in small trained models: GPT-2s of 2 layers × 48 on the State of the Union addresses, into which a
 * feature was injected (a direction written at some positions), grown exactly, and operated on: the injected direction
 * projected out of everything that writes, another one injected at other positions. What the rule says of the latents that
 * stand for either, and of all others.
 */
import {
  type ArmInput,
  type ArmRole,
  carrySae,
  comparePersistence,
  type Dictionary,
  encode,
  growSae,
  keptActivations,
  modelActivations,
  type Sae,
  type Sequences,
  type SparseCodes,
  saeConfig,
  trainSaes,
} from "../sae/index.ts";
import {
  type Confusion,
  confusionOf,
  featureOf,
  injectDirection,
  removeDirection,
} from "../sae/planted/index.ts";
import { randomDirection } from "../sae/planted/random-directions.ts";
import { openCorpus, Tokenizer, tokenizeCorpus, trainBpe } from "../src/data/index.ts";
import { createRng, type Rng, tf } from "../src/engine/index.ts";
import {
  type ExpansionMap,
  expandModel,
  hookEntry,
  mapReadouts,
  mapVectors,
} from "../src/expansion/index.ts";
import {
  activationsAt,
  createLmTrainer,
  type Gpt2Config,
  gpt2Config,
  type HostModel,
  initGpt2,
  initModel,
  lmTrainDefaults,
  placeModel,
} from "../src/models/index.ts";

type Gpt2 = HostModel<Gpt2Config>;

const vocabulary = 512;
const context = 64;
const hook = "blocks.0.hook_resid_post";
const width = 48;
const heldOutSequences = 400;

/** Verdicts on the parent's latents by what was planted: `injected` before growth, or `other`. */
export interface ModelRecord {
  readonly seed: number;
  /** Right after exact growth, no training: width alone, and width and an identity block. */
  readonly startKept: readonly number[];
  readonly parent: Confusion;
  /** Latents of the carried SAE: those of the feature injected into the child, and others. */
  readonly child: Confusion;
  readonly reinitPersisted: number | null;
}

/** Trains, grows, operates, compares. */
export async function modelStudy(seed: number): Promise<ModelRecord> {
  const rng = createRng(`planted model ${seed}`);
  const { train, heldOut } = await text();
  const base = await languageModel(train, rng.fork("model"));
  const [before, after] = positionGroups(rng.fork("positions"));
  const strength = 3 * typicalNorm(base);
  const removed = scaled(width, strength, rng.fork("before"));
  const parent = injectDirection(base, removed, "positions", before);
  const steps = { fresh: 1000, carried: 500 };
  const parentSae = (
    await trained(parent, hook, train, [{ name: "parent", init: null }], steps.fresh, rng)
  ).get("parent") as Sae;
  const parentCodes = codesOn(parent, parentSae, hook, heldOut);

  const grow = (sizes: { width?: number; layers?: number }) =>
    expandModel(
      parent,
      { method: "lemon", depth_method: "identity", positions: "top", noise_db: null, ...sizes },
      createRng("grow"),
    );
  const startKept: number[] = [];
  for (const sizes of [{ width: 72 }, { width: 72, layers: 3 }]) {
    const { child, map } = await grow(sizes);
    const { sae, hook_name } = carrySae(parentSae, map);
    const codes = codesOn(child, sae, hook_name, heldOut);
    const { document } = await comparePersistence({
      ...inputOf(parentSae, parentCodes, rng),
      arms: [
        arm("carried", "carried", sae, codes, map),
        arm("carried-start", "carried-start", sae, codes, map),
      ],
    });
    startKept.push(document.start_kept.value as number);
  }

  const { child: grown, map } = await grow({ width: 72 });
  const entry = hookEntry(map, hook)!;
  const mapped = unit(mapVectors(map, entry.tensor, removed));
  const child = injectDirection(
    removeDirection(grown, mapped),
    scaled(72, strength, rng.fork("after")),
    "positions",
    after,
  );
  const random = initModel(child.config, rng.fork("random weights"));
  const carried = carrySae(parentSae, map);
  const start = async (model: Gpt2): Promise<Sae> => {
    const placed = placeModel(model);
    const source = modelActivations(placed, hook, train, { batchSize: 1024, rng: rng.fork("new") });
    const sae = await growSae(carried.sae, source, 24, rng.fork("append"));
    source.dispose();
    placed.dispose();
    return sae;
  };
  const begun = await start(child);
  const continued = await trained(
    child,
    hook,
    train,
    [{ name: "carried", init: begun }],
    steps.carried,
    rng,
  );
  const fresh = await trained(
    child,
    hook,
    train,
    [0, 1, 2].map((s) => ({ name: `fresh-${s}`, init: null })),
    steps.fresh,
    rng,
  );
  const reinit = await trained(
    random,
    hook,
    train,
    [{ name: "reinit", init: await start(random) }],
    steps.carried,
    rng,
  );
  const armOn = (role: ArmRole, name: string, model: Gpt2, sae: Sae): ArmInput =>
    arm(role, name, sae, codesOn(model, sae, hook, heldOut), map);
  const carriedArm = armOn("carried", "carried", child, continued.get("carried") as Sae);
  const { rows, document } = await comparePersistence({
    ...inputOf(parentSae, parentCodes, rng),
    arms: [
      carriedArm,
      ...[...fresh].map(([name, sae]) => armOn("fresh", name, child, sae)),
      armOn("reinit", "reinit", random, reinit.get("reinit") as Sae),
    ],
    probes: {
      parent: { dIn: width, blocks: blocks(parent, hook, heldOut) },
      child: { dIn: 72, blocks: blocks(child, hook, heldOut) },
      random: { dIn: 72, blocks: blocks(random, hook, heldOut) },
    },
  });
  const n = parentCodes.dSae;
  const label = (codes: SparseCodes, positions: readonly number[]): string[] =>
    Array.from(featureOf(codes, indicator(heldOut, positions)), (f) =>
      f < 0 ? "other" : "injected",
    );
  return {
    seed,
    startKept,
    parent: confusionOf(
      label(parentCodes, before).map((what, i): [string, string] => [what, rows.verdict[i]]),
    ),
    child: confusionOf(
      label(carriedArm.codes, after).map((what, j): [string, string] => [
        what,
        rows.verdict[n + j],
      ]),
    ),
    reinitPersisted: document.reinit_persisted.value,
  };
}

async function text(): Promise<{ train: Sequences; heldOut: Sequences }> {
  const corpus = openCorpus({ kind: "sotu" });
  const sample = async function* (): AsyncGenerator<string> {
    let characters = 0;
    for await (const { text: part } of corpus.documents()) {
      yield part;
      characters += part.length;
      if (characters > 200_000) return;
    }
  };
  const tokenizer = Tokenizer.load(await trainBpe(sample(), vocabulary));
  const sets = await tokenizeCorpus(corpus, tokenizer, {
    context,
    heldOutFraction: 0.1,
    seed: 0,
    maxTokens: 600_000,
  });
  const nSeq = Math.min(heldOutSequences, sets.heldOut.nSeq);
  const ids = sets.heldOut.ids.subarray(0, nSeq * context);
  return { train: sets.train, heldOut: { ids, nSeq, context } };
}

async function languageModel(train: Sequences, rng: Rng): Promise<Gpt2> {
  const steps = 500;
  const config = gpt2Config({
    ...{ vocab_size: vocabulary, n_positions: context, n_embd: width, n_layer: 2, n_head: 4 },
  });
  const trainer = createLmTrainer(initGpt2(config, rng), { ...lmTrainDefaults, steps });
  const batch = 16 * context;
  for (let step = 0; step < steps; step++) {
    const from = (step * batch) % (train.ids.length - batch);
    await trainer.step({ ids: train.ids.subarray(from, from + batch), context });
  }
  const model = (await trainer.model()) as Gpt2;
  trainer.dispose();
  return model;
}

/** Two groups of six positions, none in both, neither with the first. */
function positionGroups(rng: Rng): [number[], number[]] {
  const order = Int32Array.from({ length: context - 1 }, (_, t) => t + 1);
  rng.shuffle(order);
  return [[...order.subarray(0, 6)], [...order.subarray(6, 12)]];
}

/** 1 at the positions of the group: the codes of a dictionary with one latent, first tokens left out. */
function indicator({ nSeq }: Sequences, positions: readonly number[]): SparseCodes {
  const rows = nSeq * (context - 1);
  const rowStart = new Int32Array(rows + 1);
  let fired = 0;
  for (let row = 0; row < rows; row++) {
    if (positions.includes(1 + (row % (context - 1)))) fired++;
    rowStart[row + 1] = fired;
  }
  return {
    nTokens: rows,
    dSae: 1,
    rowStart,
    latent: new Int32Array(fired),
    value: new Float32Array(fired).fill(1),
  };
}

function inputOf(sae: Sae, codes: SparseCodes, rng: Rng) {
  return {
    stage: "planted",
    name: "planted",
    parent: dictionary(sae, codes),
    sequenceLength: context - 1,
    probes: null,
    curves: null,
    off_image: null,
    copy_spread: null,
    rng: rng.fork("compare"),
  };
}

function dictionary({ cfg, W_dec, W_enc }: Sae, codes: SparseCodes): Dictionary {
  return { codes, d_in: cfg.d_in, W_dec, W_enc, lineage: null };
}

function arm(
  role: ArmRole,
  name: string,
  sae: Sae,
  codes: SparseCodes,
  map: ExpansionMap,
): ArmInput {
  const { tensor } = hookEntry(map, hook)!;
  return {
    ...dictionary(sae, codes),
    role,
    arm: name,
    sae: "planted",
    seed: 0,
    frame: {
      decoder: (rows) => mapVectors(map, tensor, rows),
      encoder: (rows) => mapReadouts(map, tensor, rows),
    },
    start: null,
    l0: null,
    fvu: null,
    ce_loss_score_zero: null,
  };
}

async function trained(
  model: Gpt2,
  at: string,
  train: Sequences,
  jobs: readonly { readonly name: string; readonly init: Sae | null }[],
  steps: number,
  rng: Rng,
): Promise<Map<string, Sae>> {
  const placed = placeModel(model);
  const source = modelActivations(placed, at, train, { batchSize: 1024, rng: rng.fork("rows") });
  const config = saeConfig({
    ...{ architecture: "batchtopk", d_in: model.config.n_embd, d_sae: 256, k: 12, hook_name: at },
  });
  const training = trainSaes(
    source,
    jobs.map(({ name, init }) => ({
      name,
      config: init?.cfg ?? config,
      init,
      rng: rng.fork(name),
      pinNorms: init !== null,
    })),
    { steps },
  );
  let done = await training.next();
  while (!done.done) done = await training.next();
  source.dispose();
  placed.dispose();
  return done.value;
}

async function* blocks(model: Gpt2, at: string, set: Sequences): AsyncGenerator<Float32Array> {
  const placed = placeModel(model);
  for await (const block of keptActivations(placed, at, set, { skip: 1 })) {
    yield (await block.data()).slice() as Float32Array;
    block.dispose();
  }
  placed.dispose();
}

function codesOn(model: Gpt2, sae: Sae, at: string, set: Sequences): SparseCodes {
  const placed = placeModel(model);
  const rows = tf.tidy(() => {
    const all = activationsAt(placed, set.ids as Int32Array, set.nSeq, at);
    const cube = tf.reshape(all, [set.nSeq, context, model.config.n_embd]);
    return tf.reshape(tf.slice(cube, [0, 1, 0], [-1, -1, -1]), [
      -1,
      model.config.n_embd,
    ]) as tf.Tensor2D;
  });
  const codes = encode(sae, rows);
  rows.dispose();
  placed.dispose();
  return codes;
}

/** Root mean square norm of the token embeddings. */
function typicalNorm({ weights }: Gpt2): number {
  const { data } = weights.get("transformer.wte.weight")!;
  return Math.sqrt((data as Float32Array).reduce((sum, x) => sum + x * x, 0) / vocabulary);
}

function scaled(d: number, strength: number, rng: Rng): Float64Array {
  return randomDirection(d, rng).map((x) => strength * x);
}

function unit(v: Float64Array): Float64Array {
  const norm = Math.hypot(...v);
  return v.map((x) => x / norm);
}

/**
 * Planted truth for circuits in a trained model: a GPT-2 trained on repeated sequences, whose induction must be reported
 * to have stuck around in a grown child, and to be gone where no head is left that could carry anything from one
 * position to another. Silencing its best previous-token heads alone takes away what they did for it, which a trained
 * model may do otherwise: so the effect that is left stands beside what is said.
 */
import { answerFiveQuestions, describeCircuit, type TaskSource } from "../circuits/index.ts";
import { silenceHeads } from "../sae/planted/index.ts";
import { createRng, type Rng } from "../src/engine/index.ts";
import { expandModel, headCopies } from "../src/expansion/index.ts";
import {
  createLmTrainer,
  type Gpt2Config,
  gpt2Config,
  type HostModel,
  initGpt2,
  lmTrainDefaults,
  placeModel,
} from "../src/models/index.ts";

type Gpt2 = HostModel<Gpt2Config>;

/** What question 4 says of a trained model's induction circuit in a grown child, whole and with heads silenced. */
export interface CircuitRecord {
  readonly seed: number;
  /** Layer-0 heads silenced, by their place in the parent, and the best previous-token score among all of layer 0. */
  readonly heads: readonly number[];
  readonly previousToken: number;
  readonly whole: CircuitAnswer;
  readonly silenced: CircuitAnswer;
  /** With every head of every layer silenced: by construction nothing moves between positions. */
  readonly deaf: CircuitAnswer;
}

/** An answer and the child's effect on the task's prompts as a share of the parent's. */
export interface CircuitAnswer {
  readonly answer: string;
  readonly effect: number;
}

/** Trains on repeated sequences, grows exactly, silences the layer-0 heads with the highest previous-token score until half of that score is gone. */
export async function circuitStudy(seed: number): Promise<CircuitRecord> {
  const rng = createRng(`planted circuit ${seed}`);
  const source = repeatedText(rng.fork("text"));
  const sizes = { vocab_size: source.tokens.length, n_positions: source.train.context };
  const config = gpt2Config({ ...sizes, n_embd: 48, n_layer: 2, n_head: 4 });
  const trainer = createLmTrainer(initGpt2(config, rng.fork("weights")), {
    ...lmTrainDefaults,
    lr: 6e-3,
    warmup: 0.1,
    steps: 2500,
  });
  const batch = 32 * source.train.context;
  for (let step = 0; step < 2500; step++) {
    const from = (step * batch) % (source.train.ids.length - batch);
    await trainer.step({
      ids: source.train.ids.subarray(from, from + batch),
      context: source.train.context,
    });
  }
  const host = (await trainer.model()) as Gpt2;
  trainer.dispose();
  const options = { prompts: 48, draws: 8, sweepDraws: 1, steps: 4 };
  const describe = (model: Gpt2, stage: string, parent: Parameters<typeof describeCircuit>[1]) => {
    const placed = placeModel(model);
    const document = describeCircuit(
      { stage, model: placed, sae: null, source, seed },
      parent,
      options,
    );
    placed.dispose();
    return document;
  };
  const base = describe(host, "00-base", null);
  const { child, map } = await expandModel(
    host,
    { method: "lemon", depth_method: "identity", positions: "top", width: 72, noise_db: null },
    rng.fork("grow"),
  );
  const scores = base.head_scores.previous_token[0];
  const total = scores.reduce((a, b) => a + b, 0);
  const heads: number[] = [];
  for (const head of scores.map((_, h) => h).sort((a, b) => scores[b] - scores[a])) {
    if (heads.reduce((sum, h) => sum + scores[h], 0) >= total / 2) break;
    heads.push(head);
  }
  const effect = ({ m_full, m_empty }: typeof base): number => (m_full ?? 0) - (m_empty ?? 0);
  const answer = (model: Gpt2): CircuitAnswer => {
    const document = describe(model, "01-wider", { document: base, map });
    const stage = (name: string, circuit: typeof base) => ({
      stage: name,
      eval: { model: { held_out_loss: null, tokens_trained: null, flops_trained: null } },
      persistence: null,
      circuit,
    });
    const stages = [stage("00-base", base), stage("01-wider", document)];
    return {
      answer: answerFiveQuestions({ stages, curves: [] }).questions[3].answer,
      effect: effect(document) / effect(base),
    };
  };
  const copies = heads.flatMap((head) => headCopies(map, 0, head).map(({ index }) => index));
  const all = Array.from({ length: (child as Gpt2).config.n_head }, (_, head) => head);
  return {
    seed,
    heads,
    previousToken: Math.max(...scores),
    whole: answer(child as Gpt2),
    silenced: answer(silenceHeads(child as Gpt2, 0, copies)),
    deaf: answer([0, 1].reduce((model, layer) => silenceHeads(model, layer, all), child as Gpt2)),
  };
}

/** Sequences of random tokens that repeat with a period of 4 to 15. */
function repeatedText(rng: Rng): TaskSource {
  const [context, vocabulary] = [32, 33];
  const rows = (nSeq: number): TaskSource["train"] => {
    const ids = new Int32Array(nSeq * context);
    for (let s = 0; s < nSeq; s++) {
      const period = 4 + rng.int(12);
      for (let t = 1; t < context; t++) {
        const at = s * context + t;
        ids[at] = t <= period ? 1 + rng.int(vocabulary - 1) : ids[at - period];
      }
    }
    return { ids, nSeq, context };
  };
  const tokens = Array.from({ length: vocabulary }, (_, i) =>
    i === 0 ? "<|endoftext|>" : ` t${i}`,
  );
  return { tokens, endOfText: 0, train: rows(20_000), heldOut: rows(100) };
}

// Planted truth at the level of circuits (methods.md §6): a model whose induction circuit is known.
import { beforeAll, describe, expect, test } from "vitest";
import {
  answerFiveQuestions,
  type CircuitDocument,
  describeCircuit,
  nodeKey,
  type StageEvidence,
} from "../../circuits/index.ts";
import { silenceHeads } from "../../sae/planted/index.ts";
import { createRng, useBackend } from "../../src/engine/index.ts";
import { type ExpansionMap, expandModel, headCopies } from "../../src/expansion/index.ts";
import { type Gpt2Config, type HostModel, placeModel } from "../../src/models/index.ts";
import { testBackend } from "../support/backend.ts";
import { compiledInduction, randomSource } from "./compiled-induction.ts";

const source = randomSource();
const options = { prompts: 24, draws: 8, sweepDraws: 1, steps: 2 };
let parent: CircuitDocument;
let child: HostModel<Gpt2Config>;
let map: ExpansionMap;

function described(host: HostModel, stage: string): CircuitDocument {
  const model = placeModel(host);
  const before = stage === "00-base" ? null : { document: parent, map };
  const document = describeCircuit({ stage, model, sae: null, source, seed: 0 }, before, options);
  model.dispose();
  return document;
}

/** The answer to question 4 of a run whose last stage has `document`. */
function answered(document: CircuitDocument): { answer: string; value: number | null } {
  const stage = (name: string, circuit: CircuitDocument): StageEvidence => ({
    stage: name,
    eval: { model: { held_out_loss: null, tokens_trained: null, flops_trained: null } },
    persistence: null,
    circuit,
  });
  const stages = [stage("00-base", parent), stage("01-deeper", document)];
  return answerFiveQuestions({ stages, curves: [] }).questions[3];
}

beforeAll(async () => {
  await useBackend(testBackend);
  const host = compiledInduction();
  parent = described(host, "00-base");
  const growth = { method: "lemon", depth_method: "identity", positions: "top" } as const;
  ({ child, map } = await expandModel(
    host,
    { ...growth, layers: 3, noise_db: null },
    createRng(0),
  ));
});

describe("a compiled induction circuit", () => {
  test("is found: the induction head, since what precedes a token is the same in both prompts of a pair", () => {
    expect(parent.task).toBe("induction");
    expect(parent.nodes.map(nodeKey)).toEqual([nodeKey({ type: "head", layer: 1, index: 0 })]);
    expect(parent.scores!.faithfulness.value!).toBeGreaterThan(0.9);
    const { previous_token, induction } = parent.head_scores;
    expect(previous_token[0][0]).toBeGreaterThan(0.8);
    expect(induction[1][0]).toBeGreaterThan(0.8);
  });

  test("is reported to have stuck around in a grown child", () => {
    const { answer, value } = answered(described(child, "01-deeper"));
    expect(answer).toMatch(/^It stuck around/);
    expect(value).toBeGreaterThan(0.9);
  });

  test("is reported gone where the previous-token head was knocked out", () => {
    const [copy] = headCopies(map, 0, 0);
    const document = described(silenceHeads(child, copy.layer, [copy.index]), "01-deeper");
    const { answer, value } = answered(document);
    expect(answer).toMatch(/^No, the induction circuit is gone/);
    expect(Math.abs(value!)).toBeLessThan(0.05);
    const carried = document.mapped!.heads.find(({ kind }) => kind === "induction")!;
    expect(carried.parent.score).toBeGreaterThan(0.8);
    expect(carried.child!.score - carried.child!.null).toBeLessThan(0.1);
  });
});

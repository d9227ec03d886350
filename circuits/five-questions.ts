/**
 * `five-questions.json`: the five open questions of the essay "Model Expansion and AI Alignment"
 * (niplav, 2025), each answered from the run's own documents in one sentence with its number and
 * where that comes from, or with why this run can't tell. Thresholds stand beside each answer's code.
 */
import { answerBiases } from "./questions/biases.ts";
import { answerBump, answerNerf } from "./questions/capability.ts";
import { answerCircuits } from "./questions/circuits-stay.ts";
import type { Answer, FiveQuestionsInput } from "./questions/evidence.ts";
import { answerOverwritten } from "./questions/overwritten.ts";

/** A question with its answer. */
export interface QuestionAnswer extends Answer {
  readonly id: 1 | 2 | 3 | 4 | 5;
  readonly question: string;
}

/** `five-questions.json`. */
export interface FiveQuestions {
  readonly format: "sae-carry/five-questions";
  readonly version: 1;
  readonly questions: readonly QuestionAnswer[];
}

/** Answers all five from a run's evidence. */
export function answerFiveQuestions(input: FiveQuestionsInput): FiveQuestions {
  return {
    format: "sae-carry/five-questions",
    version: 1,
    questions: [
      { id: 1, question: "Is expansion just a capability nerf?", ...answerNerf(input) },
      { id: 2, question: "Is it just a capability bump?", ...answerBump(input) },
      {
        id: 3,
        question: "How much information from the small network gets overwritten?",
        ...answerOverwritten(input),
      },
      {
        id: 4,
        question: "Do circuits from before the expansion stick around?",
        ...answerCircuits(input),
      },
      {
        id: 5,
        question: "Do the bigger network's inductive biases overwhelm the inherited circuits?",
        ...answerBiases(input),
      },
    ],
  };
}

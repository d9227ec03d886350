/** The five questions as cards: answer, number with its interval, confidence, where it comes from. */

import type { QuestionSummary } from "../run-data/whole-run.ts";
import type { RunData } from "../run-data.ts";
import { decimal, interval, missing } from "./format.ts";

/** One card. */
export interface QuestionCard {
  readonly id: number;
  readonly question: string;
  /** The first clause of the answer: the verdict in words. */
  readonly verdict: string;
  /** The rest of the sentence. */
  readonly detail: string;
  readonly value: string;
  readonly interval: string | null;
  readonly unit: string | null;
  readonly state: "answered" | "tentative" | "cannot tell";
  readonly evidence: QuestionSummary["evidence"];
}

const questions = [
  "Is expansion just a capability nerf?",
  "Is it just a capability bump?",
  "How much information from the small network gets overwritten?",
  "Do circuits from before the expansion stick around?",
  "Do the bigger network’s inductive biases overwhelm the inherited circuits?",
];

/** Five cards; a question without an answer says that there is none yet. */
export function questionCards(run: RunData): QuestionCard[] {
  return questions.map((question, i) => {
    const found = run.questions?.find(({ id }) => id === i + 1);
    if (!found) {
      return {
        id: i + 1,
        question,
        verdict: "Not answered yet",
        detail: "The run has not come to it.",
        value: missing,
        interval: null,
        unit: null,
        state: "cannot tell",
        evidence: [],
      };
    }
    const { answer, value, ci, unit, confident, evidence } = found;
    const verdict = answer.slice(0, verdictLength(answer, value !== null));
    return {
      id: i + 1,
      question: found.question ?? question,
      verdict,
      detail: verdict === answer ? "" : capitalised(answer.slice(verdict.length + 2)),
      value: unit?.startsWith("nats") ? decimal(value, 3) : decimal(value),
      interval: ci && interval(ci, unit?.startsWith("nats") ? 3 : 2),
      unit,
      state: value === null ? "cannot tell" : confident ? "answered" : "tentative",
      evidence,
    };
  });
}

// A first clause shorter than this says too little by itself, and a card holds no more than that.
const shortClause = 24;
const longClause = 125;

/** Where the first clause of an answer ends; a very short one takes in the next. */
function verdictLength(answer: string, isMeasured: boolean): number {
  const ends = [...answer.matchAll(/[:;] /g)].map(({ index }) => index);
  const [first, second] = ends;
  if (first === undefined || first > longClause) return answer.length;
  const takesNext = isMeasured && first < shortClause && second <= longClause;
  return takesNext ? second : first;
}

function capitalised(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/**
 * Prompts of a circuit task: pairs of token sequences, clean and corrupted, of one length, whose
 * next token is `answer` after the clean one and `wrong` (or nothing special) after the corrupted
 * one. The metric of a prompt is logit[answer] − logit[wrong] at the last position. Prompts are
 * split into two disjoint halves: circuits are found on the first and judged on the second.
 */
import { sha256 } from "../../src/io/index.ts";

/** The tasks, in the order in which they are tried. */
export const taskNames = ["induction", "bigram", "quote"] as const;
/** One of them. */
export type TaskName = (typeof taskNames)[number];

/** n prompts of `length` tokens; the metric is read at the last position. */
export interface PromptSet {
  readonly task: TaskName;
  readonly n: number;
  readonly length: number;
  readonly clean: Int32Array; // [n, length]
  readonly corrupted: Int32Array; // [n, length]
  readonly answer: Int32Array; // [n]
  readonly wrong: Int32Array; // [n]
}

/** A task that the tokenizer or the corpus has no prompts for, and why. */
export interface NotApplicable {
  readonly task: TaskName;
  readonly reason: string;
}

/** What the tasks are built from: token sequences that start with `endOfText`. */
export interface TaskSource {
  /** The text of each token id. */
  readonly tokens: readonly string[];
  readonly endOfText: number;
  /** Training sequences, which the counts come from. */
  readonly train: TokenRows;
  /** Held-out sequences, which the contexts of the prompts come from first. */
  readonly heldOut: TokenRows;
}

/** The part of a token set that tasks read. */
export interface TokenRows {
  readonly ids: Int32Array; // [nSeq, context]
  readonly nSeq: number;
  readonly context: number;
}

/** One prompt before packing. */
export interface PromptPair {
  readonly clean: ArrayLike<number>;
  readonly corrupted: ArrayLike<number>;
  readonly answer: number;
  readonly wrong: number;
}

/** Packs prompts of one length. Errors: none given, unequal lengths, or a clean prompt equal to its corrupted one. */
export function packPrompts(task: TaskName, pairs: readonly PromptPair[]): PromptSet {
  const n = pairs.length;
  const length = pairs[0]?.clean.length ?? 0;
  if (length === 0) throw new Error(`internal: ${task} has no prompts to pack`);
  const set = {
    clean: new Int32Array(n * length),
    corrupted: new Int32Array(n * length),
    answer: Int32Array.from(pairs, (pair) => pair.answer),
    wrong: Int32Array.from(pairs, (pair) => pair.wrong),
  };
  for (const [row, { clean, corrupted }] of pairs.entries()) {
    if (clean.length !== length || corrupted.length !== length) {
      throw new Error(`internal: ${task} prompt ${row} is not ${length} tokens long`);
    }
    if (Array.prototype.every.call(clean, (id, i) => id === corrupted[i])) {
      throw new Error(`internal: ${task} prompt ${row} is not corrupted`);
    }
    set.clean.set(clean, row * length);
    set.corrupted.set(corrupted, row * length);
  }
  return { task, n, length, ...set };
}

/** Disjoint halves: the even prompts to find a circuit on, the odd ones to judge it on. */
export function splitPrompts(set: PromptSet): { discovery: PromptSet; evaluation: PromptSet } {
  const half = (parity: number): PromptSet => {
    const rows = Array.from({ length: set.n }, (_, i) => i).filter((i) => i % 2 === parity);
    return packPrompts(
      set.task,
      rows.map((row) => ({
        clean: set.clean.subarray(row * set.length, (row + 1) * set.length),
        corrupted: set.corrupted.subarray(row * set.length, (row + 1) * set.length),
        answer: set.answer[row],
        wrong: set.wrong[row],
      })),
    );
  };
  return { discovery: half(0), evaluation: half(1) };
}

/** Hash of the prompts, by which a later stage proves that it was scored on the same ones. */
export function promptDigest(set: PromptSet): string {
  const parts = [set.clean, set.corrupted, set.answer, set.wrong];
  return sha256(`${set.task}|${set.length}|${parts.map((part) => part.join(",")).join("|")}`);
}

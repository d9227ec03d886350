/**
 * @file The four ways a command ends badly, each with its exit code. Every message says where,
 * what was expected, what was found and what to do. Text that came from a file is made printable
 * and short here, so that hostile names can't write to a terminal.
 */

/** What went wrong, in the parts that `--json` prints under `error`. */
export interface Problem {
  /** Stable kebab-case name, e.g. `safetensors-truncated`. */
  readonly code: string;
  /** The file, flag or field. */
  readonly where: string;
  readonly expected: string;
  readonly got: string;
  /** What to do about it. */
  readonly hint?: string;
  readonly cause?: unknown;
}

const longest = 300;

/** Control characters escaped, and at most 300 characters. */
export function printable(text: string): string {
  const escaped = text.slice(0, longest + 1).replace(
    // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is escaped
    /[\u0000-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]/g,
    (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
  return escaped.length > longest ? `${escaped.slice(0, longest)}…` : escaped;
}

abstract class ProblemError extends Error {
  readonly code: string;
  readonly where: string;
  readonly expected: string;
  readonly got: string;
  readonly hint: string | undefined;
  abstract readonly exitCode: number;

  constructor({ code, where, expected, got, hint, cause }: Problem) {
    const place = printable(where);
    const found = printable(got);
    super(
      `${place}: expected ${expected}, got ${found}${hint === undefined ? "" : `. ${hint}`}`,
      cause === undefined ? undefined : { cause },
    );
    this.code = code;
    this.where = place;
    this.expected = expected;
    this.got = found;
    this.hint = hint;
  }
}

/** Wrong use or bad input: nothing was lost, the user changes something and tries again. Exit code 2. */
export class UsageError extends ProblemError {
  override readonly name: string = "UsageError";
  readonly exitCode: number = 2;
}

/** The run could not go on (full disk, NaN loss, lost backend); its last good state is kept. Exit code 1. */
export class RunError extends ProblemError {
  override readonly name: string = "RunError";
  readonly exitCode: number = 1;
}

/** A gate of the plan did not pass. Exit code 3. */
export class GateError extends ProblemError {
  override readonly name: string = "GateError";
  readonly exitCode: number = 3;
}

/** Stopped by the user, with the state saved. `resume` is the command that goes on. Exit code 130. */
export class Interrupted extends Error {
  override readonly name: string = "Interrupted";
  readonly exitCode: number = 130;
  readonly resume: string;

  constructor(resume: string) {
    super(`interrupted; the state is saved. To go on: ${resume}`);
    this.resume = resume;
  }
}

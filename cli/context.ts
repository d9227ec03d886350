/** @file What every command gets: the flags that all commands share, and where to print. */
import { type Output, type Row, toJson, toRows } from "./output.ts";
import type { BackendOption } from "./plan/types.ts";
import { createProgress, type Progress } from "./progress.ts";

/** Values of the flags that every command takes. */
export interface GlobalFlags {
  readonly json?: boolean;
  readonly quiet?: boolean;
  readonly seed?: number;
  readonly threads?: number;
  readonly workers?: number;
  readonly backend?: BackendOption;
  readonly out?: string;
  readonly force?: boolean;
  readonly dryRun?: boolean;
}

/** How a command ends when it throws nothing. */
export interface Ending {
  code: number;
}

/** The shared flags with their defaults, and the means to print. */
export interface Context {
  readonly output: Output;
  readonly json: boolean;
  readonly quiet: boolean;
  readonly seed: number | undefined;
  readonly threads: number | undefined;
  readonly workers: number | undefined;
  readonly backend: BackendOption | undefined;
  readonly out: string | undefined;
  readonly force: boolean;
  readonly dryRun: boolean;
  readonly progress: Progress;
  /** The exit code of a command that answered and yet failed; 0 unless it is set. */
  readonly ending: Ending;
  /** Prints the answer of a command on stdout: the document under --json, otherwise the rows. */
  print(document: object, rows: readonly Row[]): void;
}

/** The context of one command. */
export function createContext(flags: GlobalFlags, output: Output, ending: Ending): Context {
  const { json = false, quiet = false, force = false, dryRun = false } = flags;
  return {
    output,
    json,
    quiet,
    seed: flags.seed,
    threads: flags.threads,
    workers: flags.workers,
    backend: flags.backend,
    out: flags.out,
    force,
    dryRun,
    progress: createProgress(output, { quiet }),
    ending,
    print: (document, rows) => output.out(json ? toJson(document) : toRows(rows)),
  };
}

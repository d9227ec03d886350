/**
 * @file A result that is a folder: written beside its place and renamed into it when it is whole, so
 * that a failure or a kill leaves nothing half-written. `--force` replaces a former result and
 * nothing else.
 */
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { UsageError, writeProblem } from "../src/io/index.ts";

/** Where a command's folder goes. */
export interface OutFolder {
  readonly out: string | undefined;
  readonly force: boolean;
  /** A file that tells a former result of the same command. */
  readonly marker: string;
}

/** Checks that --out was given and is free. To be called before any work. Errors: UsageError. */
export function claimFolder({ out, force, marker }: OutFolder): string {
  if (out === undefined) {
    throw new UsageError({
      code: "no-out",
      where: "--out",
      expected: "a folder to write to",
      got: "nothing",
    });
  }
  const isFree = !existsSync(out) || isEmptyFolder(out);
  const isFormer = existsSync(join(out, marker));
  if (!isFree && !(force && isFormer)) {
    throw new UsageError({
      code: "out-exists",
      where: out,
      expected: "a new or empty folder",
      got: isFormer ? "an earlier result" : "other files",
      hint: isFormer ? "--force replaces it" : "give another --out",
    });
  }
  return out;
}

/** Runs `write` on a temporary folder beside `out` and renames it there. `out` was claimed. */
export async function writeFolder(
  out: string,
  write: (dir: string) => void | Promise<void>,
): Promise<void> {
  const place = resolve(out);
  const temporary = join(dirname(place), `.${basename(place)}.${process.pid}.tmp`);
  const former = `${temporary}.old`;
  try {
    mkdirSync(temporary, { recursive: true });
    await write(temporary);
    if (existsSync(place)) renameSync(place, former);
    renameSync(temporary, place);
  } catch (error) {
    if (existsSync(former) && !existsSync(place)) renameSync(former, place);
    throw writeProblem(error, out);
  } finally {
    rmSync(temporary, { recursive: true, force: true });
    rmSync(former, { recursive: true, force: true });
  }
}

function isEmptyFolder(path: string): boolean {
  try {
    return readdirSync(path).length === 0;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOTDIR") return false;
    throw error;
  }
}

/**
 * @file A result that is a folder, put in its place when it is whole (`replaceFolder`). `--force` replaces a former
 * result and nothing else.
 */
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { UsageError } from "../src/io/index.ts";

export { replaceFolder as writeFolder } from "../src/io/index.ts";

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

function isEmptyFolder(path: string): boolean {
  try {
    return readdirSync(path).length === 0;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOTDIR") return false;
    throw error;
  }
}

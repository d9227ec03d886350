/**
 * @file Turns the errors of the file system into ours: what the user can mend is a UsageError, a disk
 * that fills (ENOSPC, EDQUOT, or EFBIG under `ulimit -f`) is a RunError, anything else stays as it is.
 */
import { RunError, UsageError } from "./errors.ts";

const full = new Map([
  ["ENOSPC", "no space left on the device"],
  ["EDQUOT", "the disk quota is used up"],
  ["EFBIG", "the file size limit is reached (ulimit -f)"],
]);

const refused = new Map([
  ["ENOENT", "no such file or folder"],
  ["EACCES", "permission denied"],
  ["EPERM", "permission denied"],
  ["EROFS", "a read-only file system"],
  ["EISDIR", "a folder"],
  ["ENOTDIR", "a path through something that is not a folder"],
  ["ENOTEMPTY", "a folder"],
  ["EEXIST", "something that is there already"],
  ["ELOOP", "a loop of symbolic links"],
  ["ENAMETOOLONG", "a name that is too long"],
  ["EINVAL", "a path that the file system refuses"],
  ["ERR_INVALID_ARG_VALUE", "a path that the file system refuses"],
]);

function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "";
}

/** The error to throw when reading `path` failed with `error`. */
export function readProblem(error: unknown, path: string): unknown {
  const got = refused.get(codeOf(error));
  if (got === undefined) return error;
  return new UsageError({
    code: "cannot-read",
    where: path,
    expected: "a readable file",
    got,
    cause: error,
  });
}

/** The error to throw when writing `path` failed with `error`. */
export function writeProblem(error: unknown, path: string): unknown {
  const code = codeOf(error);
  const noRoom = full.get(code);
  if (noRoom !== undefined) {
    return new RunError({
      code: "disk-full",
      where: path,
      expected: "room on the disk",
      got: noRoom,
      hint: "What was there before is untouched; free space (or raise the limit) and repeat the command",
      cause: error,
    });
  }
  const got = refused.get(code);
  if (got === undefined) return error;
  return new UsageError({
    code: "cannot-write",
    where: path,
    expected: "a writable path",
    got,
    cause: error,
  });
}

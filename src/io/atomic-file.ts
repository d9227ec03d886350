/**
 * @file Files that are there whole or not at all: written under a temporary name in the same folder,
 * flushed, renamed, and the folder flushed. A failure removes the temporary file and leaves what was
 * there before. A killed process leaves its temporary file; `sweepTemporaries` removes those.
 */
import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  writeSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";
import { writeProblem } from "./file-errors.ts";

const temporaryName = /^\..+\.\d+\.partial$/;

/** The name beside `path` under which process `pid` writes what is to be at `path`; sweepTemporaries knows it. */
export function temporaryBeside(path: string, pid: number = process.pid): string {
  return join(dirname(path), `.${basename(path)}.${pid}.partial`);
}

/** Writes all of `bytes`, at the file's position or at `position`: a single write may take only a part. */
export function writeFully(fd: number, bytes: Uint8Array, position: number | null = null): void {
  for (let done = 0; done < bytes.byteLength; ) {
    const at = position === null ? null : position + done;
    done += writeSync(fd, bytes, done, bytes.byteLength - done, at);
  }
}

/** Flushes a folder's entries, so that a rename in it survives a power cut. */
export function syncFolder(folder: string): void {
  if (process.platform === "win32") return; // folders can't be opened there
  const fd = openSync(folder, "r");
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/**
 * A file written piece by piece that appears under its name only at `commit`. Missing folders are made.
 * Every method throws a RunError when the disk is full and then leaves nothing behind.
 */
export class AtomicSink {
  readonly path: string;
  private readonly temporary: string;
  private fd: number;
  private written = 0;

  constructor(path: string) {
    this.path = path;
    this.temporary = temporaryBeside(path);
    try {
      mkdirSync(dirname(path), { recursive: true });
      this.fd = openSync(this.temporary, "w");
    } catch (error) {
      throw writeProblem(error, path);
    }
  }

  /** Bytes written so far. */
  get bytes(): number {
    return this.written;
  }

  write(chunk: Uint8Array): void {
    if (this.fd < 0) throw new Error(`internal: ${this.path} is closed`);
    this.guarded(() => writeFully(this.fd, chunk));
    this.written += chunk.byteLength;
  }

  /** Writes at `position`, which later writes without one do not see. */
  writeAt(chunk: Uint8Array, position: number): void {
    if (this.fd < 0) throw new Error(`internal: ${this.path} is closed`);
    this.guarded(() => writeFully(this.fd, chunk, position));
  }

  /** Flushes and closes the file, still under its temporary name. */
  seal(): void {
    this.guarded(() => {
      fsyncSync(this.fd);
      const fd = this.fd;
      this.fd = -1;
      closeSync(fd);
    });
  }

  /** Flushes, and gives the file its name: `path`, or another one in the same folder. */
  commit(path: string = this.path): void {
    if (this.fd >= 0) this.seal();
    this.guarded(() => {
      renameSync(this.temporary, path);
      syncFolder(dirname(path));
    });
  }

  /** Gives up: removes the temporary file. Harmless after a failure or another abort. */
  abort(): void {
    if (this.fd >= 0) closeSync(this.fd);
    this.fd = -1;
    rmSync(this.temporary, { force: true });
  }

  private guarded(action: () => void): void {
    try {
      action();
    } catch (error) {
      this.abort();
      throw writeProblem(error, this.path);
    }
  }
}

/** Replaces `path` with `data` in one step. */
export function writeFileAtomic(path: string, data: string | Uint8Array): void {
  const sink = new AtomicSink(path);
  sink.write(typeof data === "string" ? new TextEncoder().encode(data) : data);
  sink.commit();
}

/** JSON with two spaces, a last newline, null for what is not finite; typed arrays become lists. */
export function writeJsonAtomic(path: string, value: unknown): void {
  if (value === undefined) throw new Error(`internal: nothing to write into ${path}`);
  const plain = (_key: string, item: unknown) =>
    ArrayBuffer.isView(item) ? Array.from(item as Float64Array) : item;
  writeFileAtomic(path, `${JSON.stringify(value, plain, 2)}\n`);
}

/** A folder that was moved aside for its successor, and the name it had. */
const movedAside = /^\.(.+)\.old\.\d+\.partial$/;

/** The name beside `path` to which process `pid` moves the folder there while its successor takes the place. */
export function asideOf(path: string, pid: number = process.pid): string {
  return temporaryBeside(`${path}.old`, pid);
}

/**
 * Removes the temporary files and folders that killed processes left under `folder`, and puts a folder back that was
 * moved aside and had no successor yet; only its sole user may call it.
 */
export function sweepTemporaries(folder: string): void {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    const former = movedAside.exec(entry.name)?.[1];
    if (former !== undefined && !existsSync(join(folder, former))) {
      renameSync(path, join(folder, former));
    } else if (temporaryName.test(entry.name)) rmSync(path, { recursive: true, force: true });
    else if (entry.isDirectory()) sweepTemporaries(path);
  }
}

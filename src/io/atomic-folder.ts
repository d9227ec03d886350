/**
 * @file Folders that are there whole or not at all: written beside their place under a temporary name and renamed into
 * it. What was there before is moved aside for the moment between two renames, and is put back when the second fails.
 * A process killed in that moment leaves both folders whole under their temporary names; killed before, it leaves the
 * old folder in place. `sweepTemporaries` puts the old one back where its place is empty and removes the rest.
 */
import { cpSync, existsSync, linkSync, mkdirSync, readdirSync, renameSync, rmSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { asideOf, syncFolder, temporaryBeside } from "./atomic-file.ts";
import { writeProblem } from "./file-errors.ts";

/** Runs `write` on a temporary folder beside `path` and puts that in its place. Errors: those of `write`; RunError where the disk is full. */
export async function replaceFolder(
  path: string,
  write: (dir: string) => void | Promise<void>,
): Promise<void> {
  const swap = new Swap(path);
  try {
    await write(swap.begin());
    swap.end();
  } catch (error) {
    throw swap.undo(error);
  } finally {
    swap.clear();
  }
}

/**
 * The same without waiting, and with the files that `path` holds besides: those that `isOwn` doesn't claim by name go
 * over into the new folder.
 */
export function replaceFolderSync(
  path: string,
  write: (dir: string) => void,
  isOwn: (name: string) => boolean,
): void {
  const swap = new Swap(path);
  try {
    const dir = swap.begin();
    write(dir);
    const kept = existsSync(path) ? readdirSync(path).filter((name) => !isOwn(name)) : [];
    for (const name of kept) takeOver(join(path, name), join(dir, name));
    swap.end();
  } catch (error) {
    throw swap.undo(error);
  } finally {
    swap.clear();
  }
}

function takeOver(from: string, to: string): void {
  try {
    linkSync(from, to);
  } catch {
    cpSync(from, to, { recursive: true }); // a folder, or a file system without links
  }
}

class Swap {
  private readonly path: string;
  private readonly place: string;
  private readonly temporary: string;
  private readonly former: string;

  constructor(path: string) {
    this.path = path;
    this.place = resolve(path);
    this.temporary = temporaryBeside(this.place);
    this.former = asideOf(this.place);
  }

  begin(): string {
    rmSync(this.temporary, { recursive: true, force: true });
    mkdirSync(this.temporary, { recursive: true });
    return this.temporary;
  }

  end(): void {
    if (existsSync(this.place)) renameSync(this.place, this.former);
    renameSync(this.temporary, this.place);
    syncFolder(dirname(this.place));
  }

  undo(error: unknown): unknown {
    if (existsSync(this.former) && !existsSync(this.place)) renameSync(this.former, this.place);
    return writeProblem(error, this.path);
  }

  clear(): void {
    rmSync(this.temporary, { recursive: true, force: true });
    rmSync(this.former, { recursive: true, force: true });
  }
}

/**
 * @file Arrow files cut at a size: `activations.arrow`, or `activations-00000-of-000NN.arrow` once there
 * is more than one. Shards get their names together at `commit`, for only then their number is known.
 */
import { readdirSync, rmSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { UsageError } from "../errors.ts";
import { readProblem } from "../file-errors.ts";
import type { Column } from "./column.ts";
import { ArrowFileWriter, type ArrowWriterOptions } from "./file-writer.ts";
import type { ArrowSchema } from "./types.ts";

/** When a dump is cut into several files. */
export interface ShardOptions extends ArrowWriterOptions {
  /** A shard is closed once it holds this many bytes. Default 256 MB. */
  readonly shardBytes?: number;
  /** Number shards even when there is only one (`data-00000-of-00001.arrow`). Default false. */
  readonly alwaysNumbered?: boolean;
}

/** Writes batches into as many files as they need; none has its name before `commit`. */
export class ShardedArrowWriter {
  private readonly path: string;
  private readonly schema: ArrowSchema;
  private readonly options: ShardOptions;
  private readonly shards: ArrowFileWriter[] = [];

  constructor(path: string, schema: ArrowSchema, options: ShardOptions = {}) {
    this.path = path;
    this.schema = schema;
    this.options = options;
    this.open();
  }

  write(columns: readonly Column[]): void {
    const { shardBytes = 256 * 2 ** 20 } = this.options;
    let last = this.shards[this.shards.length - 1];
    try {
      if (last.batches > 0 && last.bytes >= shardBytes) {
        last.seal();
        last = this.open();
      }
      last.write(columns);
    } catch (error) {
      this.abort();
      throw error;
    }
  }

  /** Finishes and names all shards, removes those of an earlier dump of this name; returns their paths. */
  commit(): string[] {
    const count = this.shards.length;
    const numbered = count > 1 || this.options.alwaysNumbered === true;
    const paths = this.shards.map((_, i) =>
      numbered ? shardPath(this.path, i, count) : this.path,
    );
    try {
      this.shards[count - 1].seal();
      this.shards.forEach((shard, i) => {
        shard.commit(paths[i]);
      });
    } catch (error) {
      this.abort();
      throw error;
    }
    for (const { path } of shardsBeside(this.path)) if (!paths.includes(path)) rmSync(path);
    if (numbered) rmSync(this.path, { force: true });
    return paths;
  }

  abort(): void {
    for (const shard of this.shards) shard.abort();
  }

  private open(): ArrowFileWriter {
    // Each shard needs a temporary name of its own.
    const path = shardPath(this.path, this.shards.length, 0);
    const shard = new ArrowFileWriter(path, this.schema, this.options);
    this.shards.push(shard);
    return shard;
  }
}

/** The files of a dump: `path` itself, or the full set of its shards. A UsageError where some are missing. */
export function shardFiles(path: string): string[] {
  const shards = shardsBeside(path);
  const whole = entries(path).includes(basename(path));
  if (shards.length === 0) return [path];
  const bad = (got: string) =>
    new UsageError({
      code: "dump-shards",
      where: path,
      expected: "one Arrow file or one full set of shards",
      got,
      hint: "Remove what is left of an older dump, or write the dump again",
    });
  if (whole) throw bad("both");
  const { count } = shards[0];
  if (shards.some((shard) => shard.count !== count)) throw bad("shards of two dumps");
  if (shards.length !== count) throw bad(`${shards.length} of ${count} shards`);
  return shards.map((shard) => shard.path);
}

function shardPath(path: string, i: number, count: number): string {
  const digits = (n: number) => String(n).padStart(5, "0");
  return `${path.replace(/\.arrow$/, "")}-${digits(i)}-of-${digits(count)}.arrow`;
}

function shardsBeside(path: string): { path: string; count: number }[] {
  const stem = basename(path).replace(/\.arrow$/, "");
  return entries(path)
    .filter((name) => name.startsWith(`${stem}-`))
    .flatMap((name) => {
      const match = /^-\d{5}-of-(\d{5})\.arrow$/.exec(name.slice(stem.length));
      return match === null ? [] : [{ path: join(dirname(path), name), count: Number(match[1]) }];
    })
    .sort((a, b) => (a.path < b.path ? -1 : 1));
}

function entries(path: string): string[] {
  try {
    return readdirSync(dirname(path));
  } catch (error) {
    throw readProblem(error, path);
  }
}

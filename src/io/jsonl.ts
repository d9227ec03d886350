/**
 * @file Logs of one JSON document a line (metrics.jsonl, log.jsonl). A log only grows; a run that goes on
 * from a checkpoint first cuts it back to the length that the checkpoint recorded, so that no line is
 * there twice. A last line that a killed process left without its end is dropped.
 */
import {
  closeSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readFileSync,
} from "node:fs";
import { dirname } from "node:path";
import { writeFully } from "./atomic-file.ts";
import { RunError } from "./errors.ts";
import { readProblem, writeProblem } from "./file-errors.ts";
import { decodeUtf8, parseJson } from "./json.ts";

/** Settings of `JsonlLog`. */
export interface JsonlLogOptions {
  /** Bytes to keep of what is there. Default: all whole lines. */
  readonly keep?: number;
}

/** A log open for appending. */
export class JsonlLog {
  readonly path: string;
  private readonly fd: number;
  private length: number;

  /** Opens or creates a log; missing folders are made. */
  constructor(path: string, { keep }: JsonlLogOptions = {}) {
    this.path = path;
    try {
      mkdirSync(dirname(path), { recursive: true });
      this.fd = openSync(path, "a+");
      this.length = keep ?? wholeLines(readFileSync(path));
      const size = fstatSync(this.fd).size;
      if (this.length > size) {
        closeSync(this.fd);
        throw new RunError({
          code: "log-too-short",
          where: path,
          expected: `the ${this.length} bytes that the checkpoint was made with`,
          got: `${size} bytes`,
          hint: "The file was changed after the run stopped; begin the stage again",
        });
      }
      ftruncateSync(this.fd, this.length);
    } catch (error) {
      throw writeProblem(error, path);
    }
  }

  /** Bytes of the log so far, to record in a checkpoint. */
  get bytes(): number {
    return this.length;
  }

  /** Adds one line; what is not finite is null. When the disk is full the line is taken back whole. */
  append(record: unknown): void {
    const line = new TextEncoder().encode(`${JSON.stringify(record)}\n`);
    try {
      writeFully(this.fd, line);
    } catch (error) {
      ftruncateSync(this.fd, this.length);
      throw writeProblem(error, this.path);
    }
    this.length += line.byteLength;
  }

  /** Flushes to the disk; before a checkpoint that records `bytes`. */
  flush(): void {
    try {
      fsyncSync(this.fd);
    } catch (error) {
      throw writeProblem(error, this.path);
    }
  }

  close(): void {
    closeSync(this.fd);
  }
}

/** The documents of a log, without a last line that was cut off. A malformed line is a UsageError. */
export function readJsonl(path: string): unknown[] {
  let bytes: Uint8Array;
  try {
    bytes = readFileSync(path);
  } catch (error) {
    throw readProblem(error, path);
  }
  const text = decodeUtf8(bytes.subarray(0, wholeLines(bytes)), path);
  return text
    .split("\n")
    .slice(0, -1)
    .map((line, i) => parseJson(line, `${path}, line ${i + 1}`));
}

/** Length up to and with the last line feed. */
function wholeLines(bytes: Uint8Array): number {
  return bytes.lastIndexOf(0x0a) + 1;
}

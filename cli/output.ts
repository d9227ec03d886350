/**
 * @file What a command prints. stdout carries data only: one JSON document under --json, otherwise a
 * few readable lines. Everything else goes to stderr.
 */
import { printable } from "../src/io/errors.ts";

/** Where a command writes; tests hand in their own. */
export interface Output {
  /** Data. */
  out(text: string): void;
  /** Progress, logs, errors. */
  err(text: string): void;
  /** Whether stderr is a terminal whose line may be redrawn. */
  readonly interactive: boolean;
  /** Columns of that terminal. */
  readonly columns: number;
}

/** The output of this process; a reader that closes the pipe (`| head`) ends it quietly. */
export function processOutput(): Output {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "EPIPE") process.exit(0);
      throw error;
    });
  }
  return {
    out: (text) => void process.stdout.write(text),
    err: (text) => void process.stderr.write(text),
    interactive: process.stderr.isTTY === true,
    get columns() {
      return process.stderr.columns ?? 80;
    },
  };
}

/** `value` as canonical JSON: keys in the order of the contract, two spaces, non-finite numbers null, one newline at the end. */
export function toJson(value: unknown): string {
  return `${JSON.stringify(value, finite, 2)}\n`;
}

function finite(_key: string, value: unknown): unknown {
  return typeof value === "number" && !Number.isFinite(value) ? null : value;
}

/** One line of a readable answer. */
export type Row = readonly [label: string, value: string | number | null | undefined];

/** Rows as aligned text; text that came from files is made printable, null reads "not measured". */
export function toRows(rows: readonly Row[]): string {
  const width = Math.max(0, ...rows.map(([label]) => label.length));
  return rows.map(([label, value]) => `${label.padEnd(width)}  ${readable(value)}\n`).join("");
}

function readable(value: Row[1]): string {
  if (value === null || value === undefined) return "not measured";
  if (typeof value === "number") return formatNumber(value);
  // In parts, because `printable` shortens what it is given.
  return (value.match(/[\s\S]{1,256}/g) ?? []).map(printable).join("");
}

/** A number for people: whole numbers with separators, others with 4 significant digits. */
export function formatNumber(value: number): string {
  if (!Number.isFinite(value)) return "not measured";
  if (Number.isInteger(value)) return groups(value);
  const small = Math.abs(value) < 1e-3;
  return small ? value.toExponential(2) : String(Number(value.toPrecision(4)));
}

function groups(value: number): string {
  return String(value).replace(/\B(?=(\d{3})+$)/g, ",");
}

/** Bytes for people, in powers of 1000. */
export function formatBytes(bytes: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let scaled = bytes;
  let unit = 0;
  while (scaled >= 999.5 && unit < units.length - 1) {
    scaled /= 1000;
    unit++;
  }
  return `${unit === 0 || scaled >= 100 ? Math.round(scaled) : scaled.toPrecision(2)} ${units[unit]}`;
}

/** Seconds for people: `48 s`, `3 min 20 s`, `1 h 05 min`. */
export function formatDuration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${String(whole % 60).padStart(2, "0")} s`;
  return `${Math.floor(whole / 3600)} h ${String(Math.floor((whole % 3600) / 60)).padStart(2, "0")} min`;
}

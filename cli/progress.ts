/**
 * @file Progress on stderr with an estimate of the time left: one line redrawn on a terminal, plain
 * lines every few seconds elsewhere, nothing under --quiet. The clock is handed in, so tests own it.
 */
import { printable } from "../src/io/errors.ts";
import { formatDuration, formatNumber, type Output } from "./output.ts";

/** How far a command is. */
export interface ProgressUpdate {
  /** What is going on: `01-wider · carried sae`. */
  readonly label: string;
  /** Share of the whole that is done, 0..1; null = unknown. */
  readonly done: number | null;
  /** Figures to show: loss, FVU, L0, dead, tok/s. */
  readonly fields?: Readonly<Record<string, number | string | null>>;
}

/** Takes updates as often as they come; draws as often as it is useful. */
export interface Progress {
  update(update: ProgressUpdate): void;
  /** A line that stays. */
  log(line: string): void;
  /** Clears the redrawn line. */
  end(): void;
}

/** How progress is drawn. */
export interface ProgressOptions {
  readonly quiet: boolean;
  /** Colour may be used (a terminal, and no NO_COLOR). */
  readonly color?: boolean;
  /** Milliseconds; a monotonic clock. */
  readonly now?: () => number;
  /** Least milliseconds between two drawings. */
  readonly interval?: number;
}

const barWidth = 20;

/** Progress on `output`'s stderr. */
export function createProgress(output: Output, options: ProgressOptions): Progress {
  const { quiet, now = () => performance.now() } = options;
  const { interactive } = output;
  const color = options.color ?? (interactive && !process.env.NO_COLOR);
  const interval = options.interval ?? (interactive ? 100 : 5000);
  let drawn = -Infinity;
  let first: { readonly at: number; readonly done: number } | undefined;
  let shown = false;

  const clear = (): void => {
    if (shown) output.err("\r\u001b[2K");
    shown = false;
  };
  return {
    update(update) {
      if (quiet) return;
      const at = now();
      // A resumed run starts with work done; only what happens from here on tells the speed.
      if (first === undefined && update.done !== null) first = { at, done: update.done };
      if (at - drawn < interval) return;
      drawn = at;
      const left = first && timeLeft(update.done, at, first);
      if (interactive) {
        clear();
        output.err(clip(line(update, left, true), output.columns - 1, color));
        shown = true;
      } else output.err(`${line(update, left, false)}\n`);
    },
    log(text) {
      if (quiet) return;
      clear();
      output.err(`${text}\n`);
    },
    end() {
      clear();
    },
  };
}

function timeLeft(
  done: number | null,
  at: number,
  first: { readonly at: number; readonly done: number },
): number | undefined {
  if (done === null || done <= first.done || at <= first.at) return undefined;
  return (((at - first.at) / (done - first.done)) * (1 - done)) / 1000;
}

function line(update: ProgressUpdate, left: number | undefined, bar: boolean): string {
  const { label, done, fields = {} } = update;
  const parts: string[] = [];
  if (done !== null) {
    const filled = Math.round(Math.min(1, Math.max(0, done)) * barWidth);
    if (bar) parts.push("█".repeat(filled) + "░".repeat(barWidth - filled));
    parts.push(`${Math.floor(done * 100)}%`);
  }
  parts.push(printable(label));
  for (const [name, value] of Object.entries(fields)) {
    if (value !== null)
      parts.push(`${name} ${typeof value === "number" ? formatNumber(value) : printable(value)}`);
  }
  if (left !== undefined) parts.push(`ETA ${formatDuration(left)}`);
  return parts.join("  ");
}

// Cut to one terminal line; the bar is dimmed where colour is allowed.
function clip(text: string, columns: number, color: boolean): string {
  const cut = [...text].slice(0, Math.max(20, columns)).join("");
  return color ? cut.replace(/^([█░]+)/, "\u001b[2m$1\u001b[22m") : cut;
}

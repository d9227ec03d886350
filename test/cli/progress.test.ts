// Progress: what is drawn, how often, and the time left. The clock is the test's.
import { expect, test } from "vitest";
import { createProgress } from "../../cli/progress.ts";
import { collectingOutput } from "../support/command-line.ts";

test("without a terminal: plain lines, at most one each interval", () => {
  const output = collectingOutput();
  let now = 0;
  const progress = createProgress(output, { quiet: false, now: () => now });
  for (now = 0; now <= 12_000; now += 1000) {
    progress.update({ label: "base model", done: now / 20_000, fields: { loss: 4.25 } });
  }
  progress.end();
  expect(output.printed.out).toBe("");
  expect(output.printed.err).toBe(
    "0%  base model  loss 4.25\n" +
      "25%  base model  loss 4.25  ETA 15 s\n" +
      "50%  base model  loss 4.25  ETA 10 s\n",
  );
});

test("the time left of a run that is gone on with counts from where it began again", () => {
  const output = collectingOutput();
  let now = 100;
  const progress = createProgress(output, { quiet: false, now: () => now, interval: 0 });
  progress.update({ label: "x", done: 0.8 });
  now += 10_000;
  progress.update({ label: "x", done: 0.9 });
  expect(output.printed.err).toBe("80%  x\n90%  x  ETA 10 s\n");
});

test("on a terminal one line is redrawn, cut to its width, and cleared at the end", () => {
  const output = collectingOutput(true, 40);
  let now = 0;
  const progress = createProgress(output, { quiet: false, color: false, now: () => now });
  progress.update({ label: "a label that is longer than the terminal is wide", done: 0.5 });
  now = 200;
  progress.update({ label: "b", done: 0.5 });
  progress.log("a line that stays");
  progress.end();
  const clear = "\r\u001b[2K";
  const [first, ...rest] = output.printed.err.split(clear);
  expect([...first]).toHaveLength(39);
  expect(first).toMatch(/^█{10}░{10} {2}50% {2}a lab/);
  expect(rest).toEqual([`${"█".repeat(10)}${"░".repeat(10)}  50%  b`, "a line that stays\n"]);
});

test("--quiet prints nothing; unknown amounts have no percentage; names are made printable", () => {
  const quiet = collectingOutput();
  const silent = createProgress(quiet, { quiet: true });
  silent.update({ label: "x", done: 0.5 });
  silent.log("line");
  silent.end();
  expect(quiet.printed.err).toBe("");

  const output = collectingOutput();
  const progress = createProgress(output, { quiet: false });
  progress.update({ label: "\u001b[2Jx", done: null, fields: { fvu: null, note: "a\nb" } });
  expect(output.printed.err).toBe("\\u001b[2Jx  note a\\u000ab\n");
});

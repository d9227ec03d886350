import { appendFileSync, readFileSync, writeFileSync } from "node:fs";
import { expect, test } from "vitest";
import { JsonlLog, RunError, readJsonl, UsageError } from "../../src/io/index.ts";
import { temporaryFolder } from "../support/folder.ts";

const file = temporaryFolder();

test("a log holds one document a line, with null for what is not finite", () => {
  const log = new JsonlLog(file("deep", "metrics.jsonl"));
  log.append({ step: 1, loss: 2.5 });
  log.append({ step: 2, loss: NaN });
  log.flush();
  log.close();
  expect(readFileSync(file("deep", "metrics.jsonl"), "utf8")).toBe(
    '{"step":1,"loss":2.5}\n{"step":2,"loss":null}\n',
  );
  expect(readJsonl(file("deep", "metrics.jsonl"))).toEqual([
    { step: 1, loss: 2.5 },
    { step: 2, loss: null },
  ]);
});

test("a run that goes on from a checkpoint ends with the bytes of one that never stopped", () => {
  const log = new JsonlLog(file("x"));
  log.append({ step: 1, text: "é" });
  const { bytes } = log;
  log.append({ step: 2 });
  log.close();
  appendFileSync(file("x"), '{"step":3,"lo'); // killed within a line

  const again = new JsonlLog(file("x"), { keep: bytes });
  for (const step of [2, 3]) again.append({ step });
  again.close();
  expect(readJsonl(file("x"))).toEqual([{ step: 1, text: "é" }, { step: 2 }, { step: 3 }]);
});

test("a log opened without a checkpoint drops only a line without its end", () => {
  writeFileSync(file("x"), '{"a":1}\n{"a":2');
  expect(readJsonl(file("x"))).toEqual([{ a: 1 }]);
  const log = new JsonlLog(file("x"));
  expect(log.bytes).toBe(8);
  log.append({ a: 3 });
  log.close();
  expect(readJsonl(file("x"))).toEqual([{ a: 1 }, { a: 3 }]);
});

test("a log shorter than its checkpoint says is a RunError", () => {
  writeFileSync(file("x"), '{"a":1}\n');
  expect(() => new JsonlLog(file("x"), { keep: 100 })).toThrow(RunError);
});

test("readJsonl names the line of a mistake, and refuses a missing file", () => {
  writeFileSync(file("x"), '{"a":1}\nnot json\n');
  expect(() => readJsonl(file("x"))).toThrow(/line 2: expected JSON/);
  writeFileSync(file("y"), '{"a":1,"a":2}\n');
  expect(() => readJsonl(file("y"))).toThrow(/twice/);
  expect(() => readJsonl(file("no"))).toThrow(UsageError);
});

test("an empty log has no documents", () => {
  writeFileSync(file("x"), "");
  expect(readJsonl(file("x"))).toEqual([]);
});

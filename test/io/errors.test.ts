import { expect, test } from "vitest";
import { GateError, Interrupted, printable, RunError, UsageError } from "../../src/io/index.ts";

test("an error says where, what was expected, what was found and what to do, and keeps its cause", () => {
  const cause = new Error("inner");
  const error = new UsageError({
    code: "bad-k",
    where: "plan.yaml: saes[0].k",
    expected: "a positive integer",
    got: "-3",
    hint: "Try 16",
    cause,
  });
  expect(error.message).toBe("plan.yaml: saes[0].k: expected a positive integer, got -3. Try 16");
  expect(error).toMatchObject({ code: "bad-k", hint: "Try 16", cause, name: "UsageError" });
});

test("each kind of error has the exit code of the contract", () => {
  const problem = { code: "x", where: "x", expected: "x", got: "x" };
  expect(new RunError(problem).exitCode).toBe(1);
  expect(new UsageError(problem).exitCode).toBe(2);
  expect(new GateError(problem).exitCode).toBe(3);
  expect(new Interrupted("sae-carry train run").exitCode).toBe(130);
  expect(new Interrupted("sae-carry train run").message).toContain("sae-carry train run");
});

test("text from a file can't send control characters to a terminal, or fill it", () => {
  expect(printable("a\u001b[31m\nb\u202e")).toBe("a\\u001b[31m\\u000ab\\u202e");
  expect(printable("x".repeat(1000))).toHaveLength(301);
  const error = new UsageError({ code: "x", where: "\u001b]0;", expected: "y", got: "\u0007" });
  expect(error.message).toBe("\\u001b]0;: expected y, got \\u0007");
});

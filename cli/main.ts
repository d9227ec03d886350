/**
 * @file Runs one command line and says how it ended: 0 done, 1 failed at run time, 2 wrong use or bad
 * input, 3 a gate did not pass, 130 interrupted. Under --json an error is one JSON document on stdout.
 */
import { CommanderError } from "commander";
import { GateError, Interrupted, type Problem, RunError, UsageError } from "../src/io/errors.ts";
import { type Output, toJson } from "./output.ts";
import { createProgram } from "./program.ts";

/** Runs `argv` (without node and script); resolves with the exit code, never rejects. */
export async function main(argv: readonly string[], output: Output): Promise<number> {
  const json = argv.includes("--json");
  try {
    const ending = { code: 0 };
    const program = createProgram(output, ending);
    if (argv.length === 0) {
      output.err(program.helpInformation());
      return 2;
    }
    await program.parseAsync(argv, { from: "user" });
    return ending.code;
  } catch (error) {
    if (error instanceof CommanderError) {
      if (error.exitCode === 0) return 0; // --help, --version
      return fail(misuse(error), json, output);
    }
    return fail(error, json, output);
  }
}

function fail(error: unknown, json: boolean, output: Output): number {
  if (error instanceof Interrupted) {
    if (json) {
      output.out(
        errorDocument({
          code: "interrupted",
          where: "the run",
          expected: "to end",
          got: "an interrupt; the state is saved",
          hint: `to go on: ${error.resume}`,
        }),
      );
    } else output.err(`sae-carry: ${error.message}\n`);
    return error.exitCode;
  }
  if (error instanceof UsageError || error instanceof RunError || error instanceof GateError) {
    if (json) output.out(errorDocument(error));
    else
      output.err(
        `sae-carry: ${error.where}: expected ${error.expected}, got ${error.got}\n${hint(error)}`,
      );
    return error.exitCode;
  }
  return fail(unexpected(error), json, output);
}

// A bug, or something of the machine that no part foresaw: the stack is shown, so that it can be reported.
function unexpected(error: unknown): RunError {
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return new RunError({
    code: "internal",
    where: "sae-carry",
    expected: "no unforeseen error",
    got: error instanceof Error ? error.message : String(error),
    hint: `please report this: ${text}`,
    cause: error,
  });
}

function hint({ hint: text }: Pick<Problem, "hint">): string {
  return text ? `  ${text}\n` : "";
}

function errorDocument({ code, where, expected, got, hint: text }: Problem): string {
  return toJson({ error: { code, where, expected, got, hint: text ?? null } });
}

const expectations: Readonly<Record<string, readonly [code: string, expected: string]>> = {
  "commander.unknownOption": ["unknown-flag", "a flag that this command has"],
  "commander.unknownCommand": ["unknown-command", "a command"],
  "commander.optionMissingArgument": ["bad-flag", "a value"],
  "commander.missingArgument": ["missing-argument", "an argument"],
  "commander.excessArguments": ["too-many-arguments", "fewer arguments"],
};

// Commander writes sentences; the parts are taken out of them.
function misuse(error: CommanderError): UsageError {
  const [first, ...rest] = error.message.replace(/^error: /, "").split("\n");
  const [code, expected] = expectations[error.code] ?? ["misuse", "a valid command line"];
  const suggestion = /Did you mean (.+?)\?/.exec(rest.join(" "))?.[1];
  return new UsageError({
    code,
    where: /'([^']+)'/.exec(first)?.[1] ?? "the command line",
    expected,
    got: first,
    hint: suggestion === undefined ? "see sae-carry --help" : `did you mean ${suggestion}?`,
    cause: error,
  });
}

// The command line's frame: help, misuse, exit codes, errors as JSON.
import { describe, expect, test } from "vitest";
import { jsonDocuments } from "../../cli/json-schemas.ts";
import { main } from "../../cli/main.ts";
import { collectingOutput, runCommand } from "../support/command-line.ts";

const commands = [
  "train",
  "expand-and-track",
  "report",
  "expand",
  "carry",
  "import",
  "export",
  "eval",
  "compare",
  "dump",
  "inspect",
  "doctor",
];

describe("help", () => {
  test("--help lists every command on stdout and ends with 0", async () => {
    const { code, out, err } = await runCommand("--help");
    expect(code).toBe(0);
    expect(err).toBe("");
    for (const command of commands) expect(out).toMatch(new RegExp(`^  ${command}\\b`, "m"));
  });

  test.each(commands)(
    "%s --help has two examples or three, and the shared flags",
    async (command) => {
      const { code, out } = await runCommand(command, "--help");
      expect(code).toBe(0);
      expect([2, 3]).toContain(out.match(/^ {2}\$ sae-carry /gm)?.length);
      for (const flag of ["--json", "--quiet", "--seed", "--backend", "--force", "--dry-run"]) {
        expect(out).toContain(flag);
      }
    },
  );

  test("no arguments: help on stderr, exit code 2", async () => {
    const { code, out, err } = await runCommand();
    expect(code).toBe(2);
    expect(out).toBe("");
    expect(err).toContain("Usage: sae-carry");
  });

  test("--version prints the package's version", async () => {
    const { code, out } = await runCommand("--version");
    expect(code).toBe(0);
    expect(out).toMatch(/^\d+\.\d+\.\d+\n$/);
  });
});

describe("misuse ends with 2 and says what was meant", () => {
  test("an unknown command", async () => {
    const { code, out, err } = await runCommand("trian");
    expect(code).toBe(2);
    expect(out).toBe("");
    expect(err).toContain("did you mean train?");
  });

  test("an unknown flag, of the command or a shared one", async () => {
    expect((await runCommand("train", "--txet", "a")).err).toContain("did you mean --text?");
    expect((await runCommand("doctor", "--jsn")).err).toContain("did you mean --json?");
    expect((await runCommand("expand", "m", "--widht", "96")).err).toContain("--width");
  });

  test("values of the wrong kind", async () => {
    const lines = await Promise.all([
      runCommand("train", "--k", "many"),
      runCommand("train", "--seed", "-1"),
      runCommand("train", "--arch", "batchtop"),
      runCommand("expand", "m", "--noise-db", "loud"),
      runCommand("doctor", "--backend", "wsam"),
    ]);
    for (const { code, out } of lines) {
      expect(code).toBe(2);
      expect(out).toBe("");
    }
    expect(lines[0].err).toContain("--k: expected a whole number of at least 1");
    expect(lines[2].err).toContain("did you mean batchtopk?");
    expect(lines[4].err).toContain("did you mean wasm?");
  });

  test("a missing argument, one too many, a missing value", async () => {
    expect((await runCommand("inspect")).code).toBe(2);
    expect((await runCommand("inspect", "a", "b")).code).toBe(2);
    expect((await runCommand("doctor", "--seed")).code).toBe(2);
  });

  test.each([
    ["trian", "--json"],
    ["train", "--json", "--txet", "a"],
    ["train", "--json"],
    ["inspect", "--json", "/nothing/here"],
    ["report", "/nothing/here", "--json"],
    ["expand", "/nothing/here", "--width", "96", "--out", "/nothing/out", "--json"],
  ])("%s %s … under --json is one document on stdout", async (...args) => {
    const { code, out } = await runCommand(...args);
    expect(code).toBe(2);
    const document = JSON.parse(out) as object;
    expect(() => jsonDocuments.error.schema.parse(document)).not.toThrow();
  });
});

test("an error that nobody foresaw ends with 1 and shows where it came from", async () => {
  const output = collectingOutput();
  const broken = {
    ...output,
    out(): void {
      throw new Error("the pipe broke");
    },
  };
  expect(await main(["--version"], broken)).toBe(1);
  expect(output.printed.err).toContain("the pipe broke");
  expect(output.printed.err).toContain("please report this");
});

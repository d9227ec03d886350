/**
 * @file plan.yaml → PlanInput. The file is untrusted: repeated keys, unknown tags, unknown keys and
 * values of the wrong kind are one UsageError that names file, line and key. YAML reads `+2` as the
 * number 2; an increment is meant, so numbers written with a plus sign stay text.
 */
import { statSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { type Document, isScalar, LineCounter, parseDocument, visit } from "yaml";
import type { z } from "zod";
import { decodeUtf8, UsageError } from "../../src/io/index.ts";
import { nearest } from "../suggest.ts";
import { type KeySchema, planKeys, schemaAt } from "./keys.ts";
import { planSchema } from "./schema.ts";
import type { PlanInput } from "./types.ts";

const largest = 2 ** 20; // bytes

/** Reads and validates a plan file. Errors: UsageError with file and line. */
export async function readPlan(path: string): Promise<PlanInput> {
  let bytes: Uint8Array;
  try {
    const { size } = statSync(path);
    if (size > largest) {
      throw new UsageError({
        code: "plan-too-large",
        where: path,
        expected: "a plan of at most 1 MB",
        got: `${size} bytes`,
      });
    }
    bytes = await readFile(path);
  } catch (cause) {
    if (cause instanceof UsageError) throw cause;
    throw new UsageError({
      code: "no-plan",
      where: path,
      expected: "a plan (YAML)",
      got: cause instanceof Error ? cause.message : String(cause),
      cause,
    });
  }
  return parsePlan(decodeUtf8(bytes, path), path);
}

/** Validates the text of a plan; `where` names it in errors. */
export function parsePlan(text: string, where: string): PlanInput {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, version: "1.2" });
  const problem = document.errors[0] ?? document.warnings[0];
  if (problem) {
    throw new UsageError({
      code: problem.code === "DUPLICATE_KEY" ? "plan-duplicate-key" : "plan-malformed",
      where: `${where}:${problem.linePos?.[0].line ?? 1}`,
      expected: problem.code === "DUPLICATE_KEY" ? "each key once" : "YAML",
      got: problem.message.split("\n")[0].replace(/ at line \d+, column \d+:?$/, ""),
      cause: problem,
    });
  }
  visit(document, {
    Pair(_, { key }) {
      if (isScalar(key)) return;
      throw new UsageError({
        code: "plan-malformed",
        where,
        expected: "keys that are words",
        got: "a list or a mapping as a key",
      });
    },
    Scalar(_, node) {
      if (typeof node.value === "number" && node.source?.startsWith("+")) node.value = node.source;
    },
  });
  let value: unknown;
  try {
    value = document.toJS({ maxAliasCount: 50 }) ?? {};
  } catch (cause) {
    throw new UsageError({
      code: "plan-malformed",
      where,
      expected: "a plan without excessive aliases",
      got: cause instanceof Error ? cause.message : String(cause),
      cause,
    });
  }
  return checkPlan(value, (path) => place(where, path, document, lines));
}

/** Validates a plan held as a value; `locate` turns the path of a faulty key into the place to name. */
export function checkPlan(
  value: unknown,
  locate: (path: readonly PropertyKey[]) => string,
): PlanInput {
  const result = planSchema.safeParse(value);
  if (result.success) return result.data;
  const issues = result.error.issues.flatMap((issue) => flatten(issue, value));
  throw planProblem(issues[0], value, locate, issues.length - 1);
}

// A union reports one list of issues per member; the member that fits best (deepest path) speaks for it.
function flatten(issue: z.core.$ZodIssue, value: unknown): z.core.$ZodIssue[] {
  if (issue.code !== "invalid_union") return [issue];
  const members = issue.errors.filter((errors) => errors.length > 0);
  const deepest = members.find((errors) => errors.some((inner) => inner.path.length > 0));
  if (!deepest) return [issue];
  return deepest.flatMap((inner) =>
    flatten({ ...inner, path: [...issue.path, ...inner.path] }, value),
  );
}

function planProblem(
  issue: z.core.$ZodIssue,
  value: unknown,
  locate: (path: readonly PropertyKey[]) => string,
  others: number,
): UsageError {
  const more = others > 0 ? `${others} more ${others === 1 ? "problem" : "problems"} after it` : "";
  if (issue.code === "unrecognized_keys") {
    const key = issue.keys[0];
    const known = planKeys(issue.path);
    const elsewhere = keyElsewhere(key);
    const meant = nearest(key, known);
    const hint =
      elsewhere !== undefined
        ? `\`${key}\` belongs under \`${elsewhere}\``
        : meant !== undefined
          ? `did you mean \`${meant}\`?`
          : "";
    return new UsageError({
      code: "plan-unknown-key",
      where: locate([...issue.path, key]),
      expected: `one of ${known.join(", ")}`,
      got: `the unknown key \`${key}\``,
      hint: [hint, more].filter(Boolean).join("; ") || undefined,
    });
  }
  const found = at(value, issue.path);
  return new UsageError({
    code: "plan-bad-value",
    where: locate(issue.path),
    expected: expectation(issue),
    got: found === undefined ? "nothing" : (JSON.stringify(found) ?? String(found)),
    hint: more || undefined,
  });
}

/** Whether a key takes whole numbers, null beside them or not. */
function isInteger(schema: KeySchema | undefined): boolean {
  return schema?.type === "integer" || (schema?.anyOf?.some(isInteger) ?? false);
}

function expectation(issue: z.core.$ZodIssue): string {
  switch (issue.code) {
    case "invalid_type":
      if (isInteger(schemaAt(issue.path))) return "a whole number";
      return (
        { int: "a whole number", number: "a number", array: "a list", object: "keys and values" }[
          issue.expected as string
        ] ?? `a ${issue.expected}`
      );
    case "invalid_value":
      return `one of ${issue.values.join(", ")}`;
    case "too_small":
      return `${issue.origin === "array" ? "a list of at least" : issue.inclusive ? "at least" : "more than"} ${issue.minimum}`;
    case "too_big":
      return `${issue.inclusive ? "at most" : "less than"} ${issue.maximum}`;
    case "invalid_format":
      return issue.message;
    case "invalid_union": {
      const parts = issue.errors.flatMap((errors) => errors.map(expectation));
      return [...new Set(parts)].join(" or ") || "another kind of value";
    }
    default:
      return issue.message;
  }
}

function keyElsewhere(key: string): string | undefined {
  const places: (readonly PropertyKey[])[] = [
    [],
    ["data"],
    ["tokenizer"],
    ["model"],
    ["model", "train"],
    ["saes", 0],
    ["stages", 0],
    ["stages", 0, "expand"],
    ["stages", 0, "data"],
    ["stages", 0, "train"],
    ["stages", 0, "carry"],
    ["controls"],
    ["eval"],
    ["report"],
  ];
  const found = places.find((path) => planKeys(path).includes(key));
  if (!found) return undefined;
  return found.length === 0 ? "the top level" : keyName(found).replace("[0]", "[]");
}

function at(value: unknown, path: readonly PropertyKey[]): unknown {
  let inner = value;
  for (const key of path) {
    if (typeof inner !== "object" || inner === null || !Object.hasOwn(inner, key)) return undefined;
    inner = (inner as Record<PropertyKey, unknown>)[key];
  }
  return inner;
}

/** `["saes", 0, "k"]` → `saes[0].k`. */
export function keyName(path: readonly PropertyKey[]): string {
  return path.reduce<string>(
    (text, key) =>
      typeof key === "number" ? `${text}[${key}]` : text ? `${text}.${String(key)}` : String(key),
    "",
  );
}

// `plan.yaml:12 saes[0].k`; the line of the nearest enclosing key where the key itself is not there.
function place(
  where: string,
  path: readonly PropertyKey[],
  document: Document,
  lines: LineCounter,
): string {
  const offset = offsetOf(path, document);
  const line = offset === undefined ? "" : `:${lines.linePos(offset).line}`;
  const key = keyName(path);
  return key ? `${where}${line} ${key}` : `${where}${line}`;
}

function offsetOf(path: readonly PropertyKey[], document: Document): number | undefined {
  for (let depth = path.length; depth > 0; depth--) {
    const parent = document.getIn(path.slice(0, depth - 1), true) ?? document.contents;
    const key = path[depth - 1];
    const items = (parent as { items?: unknown[] } | null)?.items;
    if (!Array.isArray(items)) continue;
    const node =
      typeof key === "number"
        ? items[key]
        : items
            .map((item) => (item as { key?: unknown }).key)
            .find((name) => isScalar(name) && String(name.value) === String(key));
    const range = (node as { range?: readonly number[] | null } | undefined)?.range;
    if (range) return range[0];
  }
  return undefined;
}

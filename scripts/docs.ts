// Renders docs/plan.md and docs/json.md from the zod schemas. `npm run docs` writes them; test/cli/docs.test.ts
// fails while they are not current.
import { z } from "zod";
import { jsonDocuments } from "../cli/json-schemas.ts";
import { defaultStageName, expandDefaults, presets } from "../cli/plan/defaults.ts";
import { type KeySchema, planJsonSchema } from "../cli/plan/keys.ts";
import { resolvePlan } from "../cli/plan/resolve.ts";

/** docs/plan.md: every key of plan.yaml with its kind, default and meaning. */
export function planPage(): string {
  const sample = resolvePlan(
    { stages: [{ expand: { width: "1.5x" }, gates: [{ kind: "held_out_loss", max: 4 }] }] },
    "/",
    "plan.yaml",
  );
  const lines = [
    "# plan.yaml",
    "",
    "What a run does. Every key may be left out; the resolved plan, with every default spelled out, is stored in the run as `plan.yaml`. Unknown and repeated keys are errors. Precedence: flags, environment (`SAE_CARRY_<FLAG>`), plan, defaults. Paths start at the plan's folder.",
    "",
    "Sizes under `expand` are absolute (`96`), factors (`1.5x`) or increments (`+2`). A relative width is rounded to the nearest that the head dimension allows, with a note.",
    "",
    "A run whose plan changed is refused with the key that differs; `stages` may be appended. `backend`, `threads` and `workers` hold for the command that gives them and may differ from the stored ones; but a run stays on the backend that began it, which `auto` then means.",
    "",
    "| key | takes | default | |",
    "|---|---|---|---|",
    ...rows(planJsonSchema(), "", sample as unknown as Values),
    "",
    "## Presets of `controls`",
    "",
    "| preset | fresh_seeds | sweep | arms |",
    "|---|---|---|---|",
    ...Object.entries(presets).map(
      ([name, { fresh_seeds, sweep, arms }]) =>
        `| \`${name}\` | ${fresh_seeds} | ${sweep.join(", ") || "–"} | ${arms.map(code).join(" ")} |`,
    ),
    "",
    `A stage that only grows in width is called \`${defaultStageName({ ...expandDefaults, width: 2 })}\`, one that only grows in depth \`${defaultStageName({ ...expandDefaults, layers: 2 })}\`, one that does both \`${defaultStageName({ ...expandDefaults, width: 2, layers: 2 })}\`; experts alone make it \`${defaultStageName({ ...expandDefaults, experts: 2 })}\`, neurons alone \`${defaultStageName({ ...expandDefaults, mlp: 2 })}\`, tokens alone \`${defaultStageName({ ...expandDefaults, vocab: 2 })}\`; a second one of a kind gets \`-2\`.`,
    "",
  ];
  return lines.join("\n");
}

type Values = Readonly<Record<string, unknown>> | undefined;

function rows(schema: KeySchema, prefix: string, values: Values): string[] {
  return Object.entries(schema.properties ?? {}).flatMap(([key, inner]) => {
    const value = values?.[key];
    const list = inner.items?.properties ? inner.items : undefined;
    const name = `${prefix}${key}${list ? "[]" : ""}`;
    const about = inner.description ?? "";
    if (list) {
      const [first] = (value ?? []) as Values[];
      return [`| **\`${name}\`** | | | ${about} |`, ...rows(list, `${name}.`, first)];
    }
    if (inner.properties) {
      return [`| **\`${name}\`** | | | ${about} |`, ...rows(inner, `${name}.`, value as Values)];
    }
    return [
      `| \`${name}\` | ${kind(inner)} | ${defaultOf(name, value)} | ${about.replace(/\|/g, "\\|")} |`,
    ];
  });
}

// Defaults that follow from other keys are told in the description instead.
const derived = new Set([
  "saes[].hook",
  "stages[].name",
  "stages[].expand.width",
  "stages[].carry.new_latents",
  "stages[].gates[].kind",
  "stages[].gates[].max",
  "controls.fresh_seeds",
  "controls.arms",
]);

function defaultOf(name: string, value: unknown): string {
  if (value === undefined || derived.has(name)) return "";
  return code(JSON.stringify(value));
}

function kind(schema: KeySchema): string {
  const { type, anyOf, enum: values, const: only, items, pattern } = schema;
  if (anyOf) return [...new Set(anyOf.map(kind))].join(" or ");
  if (values) return values.map((value) => code(String(value))).join(" ");
  if (only !== undefined) return code(JSON.stringify(only));
  if (typeof type === "object") return type.map((name) => kind({ type: name })).join(" or ");
  if (type === "array" && items) return `list of ${kind(items)}`;
  if (type === "null") return "null";
  if (pattern?.endsWith("x$")) return "factor";
  if (pattern?.startsWith("^\\+")) return "increment";
  const names: Record<string, string> = {
    integer: "whole number",
    number: "number",
    string: "text",
  };
  return names[type ?? ""] ?? type ?? "";
}

/** docs/json.md: every document of the JSON contract. */
export function jsonPage(): string {
  const lines = [
    "# JSON documents",
    "",
    "Under `--json` a command prints one document on stdout and nothing else. Ratios are fractions, what was not measured or is not finite is `null`, intervals are `[lo, hi]`. A command that ends badly prints an error document with the same exit code as without `--json`: 1 failed at run time, 2 wrong use or bad input, 3 a gate did not pass, 130 interrupted.",
  ];
  const seen = new Map<string, string>();
  for (const { title, about, schema } of Object.values(jsonDocuments)) {
    const json = shape(z.toJSONSchema(schema, { io: "output" }) as JsonSchema);
    lines.push("", `## ${title}`, "", `${about[0].toUpperCase()}${about.slice(1)}.`, "");
    const body = json.filter((line) => !line.startsWith("  format: ")).join("\n");
    const same = seen.get(body);
    if (same === undefined) lines.push("```", ...json, "```");
    else lines.push(`As \`${same}\`, with a \`format\` of its own.`);
    seen.set(body, title);
  }
  return `${lines.join("\n")}\n`;
}

interface JsonSchema {
  readonly type?: string | readonly string[];
  readonly description?: string;
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: JsonSchema | boolean;
  readonly propertyNames?: JsonSchema;
  readonly items?: JsonSchema;
  readonly prefixItems?: readonly JsonSchema[];
  readonly anyOf?: readonly JsonSchema[];
  readonly oneOf?: readonly JsonSchema[];
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
}

function shape(schema: JsonSchema, indent = ""): string[] {
  const forms = schema.oneOf;
  if (forms)
    return forms.flatMap((form, i) => [
      ...(i === 0 ? [] : [`${indent}or`]),
      ...shape(form, indent),
    ]);
  const { properties = {}, required = [] } = schema;
  const inner = `${indent}  `;
  const entries = Object.entries(properties).flatMap(([key, value]) => {
    const name = required.includes(key) ? key : `${key}?`;
    const [first, ...rest] = typeLines(value, inner);
    const about = value.description === undefined ? "" : `   // ${value.description}`;
    return [`${inner}${name}: ${first}${about}`, ...rest];
  });
  const open = schema.additionalProperties === false ? [] : [`${inner}…`];
  return [`${indent}{`, ...entries, ...open, `${indent}}`];
}

// The first line continues a key's line; the others are indented already.
function typeLines(schema: JsonSchema, indent: string): string[] {
  const { type, anyOf, items, prefixItems, properties } = schema;
  if (schema.const !== undefined) return [JSON.stringify(schema.const)];
  if (schema.enum) return [schema.enum.map((value) => JSON.stringify(value)).join(" | ")];
  if (anyOf) {
    const parts = anyOf.map((part) => typeLines(part, indent));
    return parts.reduce((left, right) => [
      ...left.slice(0, -1),
      `${left[left.length - 1]} | ${right[0]}`,
      ...right.slice(1),
    ]);
  }
  if (prefixItems) return [`[${prefixItems.map((item) => typeLines(item, indent)[0]).join(", ")}]`];
  if (type === "array") {
    const [first, ...rest] = typeLines(items ?? {}, indent);
    if (rest.length === 0) return [`[${first}, …]`];
    return [`[${first}`, ...rest.slice(0, -1), `${rest[rest.length - 1]}, …]`];
  }
  if (properties) {
    const [, ...rest] = shape(schema, indent);
    return ["{", ...rest];
  }
  if (type === "object") {
    const { additionalProperties, propertyNames } = schema;
    const value =
      typeof additionalProperties === "object" ? typeLines(additionalProperties, indent) : ["any"];
    const keys = propertyNames?.enum ? propertyNames.enum.join(" | ") : "name";
    const lines = [`{[${keys}]: ${value[0]}`, ...value.slice(1)];
    return [...lines.slice(0, -1), `${lines[lines.length - 1]}}`];
  }
  return [typeof type === "object" ? type.join(" | ") : (type ?? "any")];
}

function code(text: string): string {
  return `\`${text}\``;
}

/**
 * The two Arrow tables that the report reads: features.arrow (what each latent fires on) and
 * persistence/<name>.arrow (the verdict on each latent). A figure that is null becomes NaN.
 */
import { type Column, type ColumnTable, readArrow, UsageError, valueAt } from "../src/io/index.ts";
import {
  type FeatureTable,
  type LatentContext,
  type MeasureName,
  measureNames,
  type TokenLogit,
  type VerdictTable,
} from "./run-data/tables.ts";

/** Reads features.arrow. Errors: UsageError on another layout. */
export function readFeatures(path: string): FeatureTable {
  const table = readArrow(path, {
    columns: ["latent", "density", "max_activation", "top_contexts", "top_logits", "bottom_logits"],
  });
  const latent = table.int32("latent");
  const rowOf = new Map(Array.from(latent, (id, row) => [id, row]));
  const byLatent = (name: string): Float32Array => {
    const values = table.float32(name);
    const n = latent.length === 0 ? 0 : Math.max(...latent) + 1;
    return Float32Array.from({ length: n }, (_, id) => values[rowOf.get(id) ?? -1] ?? Number.NaN);
  };
  const contexts = nested(table, "top_contexts");
  const top = nested(table, "top_logits");
  const bottom = nested(table, "bottom_logits");
  const items = (column: Column | null, id: number): readonly unknown[] => {
    const row = rowOf.get(id);
    if (column === null || row === undefined) return [];
    return (valueAt(column, row) as readonly unknown[] | null) ?? [];
  };
  return {
    density: byLatent("density"),
    maxActivation: byLatent("max_activation"),
    contexts: (id) => items(contexts, id).map((item) => context(item, path)),
    topLogits: (id) => items(top, id).map((item) => logit(item, path)),
    bottomLogits: (id) => items(bottom, id).map((item) => logit(item, path)),
  };
}

/** Reads persistence/<name>.arrow. Errors: UsageError on another layout. */
export function readVerdicts(path: string): VerdictTable {
  const table = readArrow(path);
  const { rows } = table;
  const side = table.strings("side");
  const partners = nested(table, "matches");
  const matches = Array.from(
    { length: rows },
    (_, row) => (partners && (valueAt(partners, row) as readonly number[] | null)) ?? [],
  );
  const strings = (name: string): string[] =>
    table.has(name) ? table.strings(name).map((value) => value ?? "") : Array(rows).fill("");
  const integers = (name: string): Int32Array =>
    table.has(name) ? table.int32(name, 0) : new Int32Array(rows);
  return {
    rows,
    isChild: Uint8Array.from(side, (name) => (name === "child" ? 1 : 0)),
    latent: table.int32("latent"),
    verdict: strings("verdict"),
    detail: strings("verdict_detail"),
    match: Int32Array.from(matches, ([first]) => first ?? -1),
    matches,
    lineageStage: strings("lineage_stage"),
    firingsParent: integers("firings_parent"),
    firingsChild: integers("firings_child"),
    measures: Object.fromEntries(
      measureNames.map((name) => [
        name,
        table.has(name) ? table.float32(name) : new Float32Array(rows).fill(Number.NaN),
      ]),
    ) as Record<MeasureName, Float32Array>,
  };
}

function nested(table: ColumnTable, name: string): Column | null {
  if (!table.has(name)) return null;
  const column = table.get(name, "lists");
  if (column.kind === "list") return column;
  throw new UsageError({
    code: "arrow-column-type",
    where: `${table.path}: column ${name}`,
    expected: "lists",
    got: column.kind,
  });
}

function context(item: unknown, path: string): LatentContext {
  const { doc, pos, tokens, activations } = item as Partial<LatentContext>;
  if (!Array.isArray(tokens) || !Array.isArray(activations)) {
    throw wrongField(path, "top_contexts", "tokens and activations");
  }
  if (tokens.length !== activations.length) {
    throw wrongField(path, "top_contexts", "one activation per token");
  }
  return {
    doc: Number(doc ?? -1),
    pos: Number(pos ?? -1),
    tokens: tokens.map(String),
    activations: activations.map(Number),
  };
}

function logit(item: unknown, path: string): TokenLogit {
  const { token, value } = item as Partial<TokenLogit>;
  if (typeof token !== "string" || typeof value !== "number") {
    throw wrongField(path, "top_logits", "tokens with values");
  }
  return { token, value };
}

function wrongField(path: string, name: string, expected: string): UsageError {
  return new UsageError({
    code: "features-layout",
    where: `${path}: column ${name}`,
    expected,
    got: "something else",
  });
}

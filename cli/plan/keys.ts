/** @file The keys that the plan schema knows, by path: for suggestions and for the generated documentation. */
import { z } from "zod";
import { planSchema } from "./schema.ts";

/** The part of JSON Schema that the plan's schema uses. */
export interface KeySchema {
  readonly type?: string | readonly string[];
  readonly description?: string;
  readonly properties?: Readonly<Record<string, KeySchema>>;
  readonly items?: KeySchema;
  readonly anyOf?: readonly KeySchema[];
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly pattern?: string;
}

let cached: KeySchema | undefined;

/** The plan's schema as JSON Schema. */
export function planJsonSchema(): KeySchema {
  cached ??= z.toJSONSchema(planSchema, { io: "input" }) as KeySchema;
  return cached;
}

/** The schema at `path` (`["saes", 0, "k"]`); undefined where nothing may stand. */
export function schemaAt(path: readonly PropertyKey[]): KeySchema | undefined {
  let schema: KeySchema | undefined = planJsonSchema();
  for (const key of path) {
    schema = typeof key === "number" ? schema?.items : schema?.properties?.[String(key)];
  }
  return schema;
}

/** Names of the keys that may stand at `path` (`["saes", 0]`); empty where no keys may stand. */
export function planKeys(path: readonly PropertyKey[]): string[] {
  return Object.keys(schemaAt(path)?.properties ?? {});
}

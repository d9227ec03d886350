/**
 * Documents chosen and ordered by their labels: the year of an address, any field of a JSONL line that is a number or
 * a word, such as a quality score. Labels that read as numbers compare as numbers.
 */
import { sha256, UsageError } from "../io/index.ts";
import type { Corpus, Document } from "./corpus.ts";

/** What a label must be: within bounds (both included), or one of a list. */
export type LabelFilter =
  | { readonly min?: number; readonly max?: number }
  | readonly (string | number)[];

/** Filters by label; a document passes that has all the labels and meets all the filters. */
export type DocumentFilter = Readonly<Record<string, LabelFilter>>;

/** The order of a label's values. */
export interface LabelOrder {
  readonly by: string;
  readonly descending: boolean;
}

/** A corpus of the documents that pass. Errors, while they are read: none passes, with the labels that there are. */
export function filterDocuments(corpus: Corpus, filter: DocumentFilter): Corpus {
  const rules = Object.entries(filter);
  if (rules.length === 0) return corpus;
  return {
    name: corpus.name,
    order: corpus.order,
    async fingerprint() {
      return sha256(`${await corpus.fingerprint()}\n${JSON.stringify(rules.sort())}`);
    },
    async *documents() {
      const labels = new Set<string>();
      let any = false;
      for await (const document of corpus.documents()) {
        for (const label of Object.keys(document.meta)) labels.add(label);
        if (!rules.every(([label, rule]) => passes(document.meta[label], rule))) continue;
        any = true;
        yield document;
      }
      if (!any) {
        const missing = rules.map(([label]) => label).filter((label) => !labels.has(label));
        throw new UsageError({
          code: "corpus-filter",
          where: `corpus ${corpus.name}: filter`,
          expected: "a filter that some document passes",
          got:
            missing.length > 0 ? `no document with the label ${missing.join(", ")}` : "none passes",
          hint: `its labels: ${[...labels].join(", ") || "none"}`,
        });
      }
    },
  };
}

function passes(value: string | number | undefined, rule: LabelFilter): boolean {
  if (value === undefined) return false;
  if (isList(rule)) return rule.some((one) => String(one) === String(value));
  const { min = Number.NEGATIVE_INFINITY, max = Number.POSITIVE_INFINITY } = rule;
  const number = asNumber(value);
  return number !== null && number >= min && number <= max;
}

function isList(rule: LabelFilter): rule is readonly (string | number)[] {
  return Array.isArray(rule);
}

/**
 * The documents in the order of a label, those with equal values as they were. Errors: a document without it, named.
 */
export function orderByLabel<T extends Pick<Document, "name" | "meta">>(
  documents: readonly T[],
  { by, descending }: LabelOrder,
): T[] {
  const without = documents.find(({ meta }) => meta[by] === undefined);
  if (without) {
    throw new UsageError({
      code: "corpus-order",
      where: without.name,
      expected: `the label ${by}, which the documents are ordered by`,
      got: `labels: ${Object.keys(without.meta).join(", ") || "none"}`,
    });
  }
  const values = documents.map(({ meta }) => meta[by]);
  const numbers = values.map(asNumber);
  const keys = numbers.includes(null) ? values.map(String) : (numbers as number[]);
  const sign = descending ? -1 : 1;
  return documents
    .map((document, i) => ({ document, key: keys[i] }))
    .sort((a, b) => (a.key < b.key ? -sign : a.key > b.key ? sign : 0))
    .map(({ document }) => document);
}

function asNumber(value: string | number): number | null {
  if (typeof value === "number") return value;
  const number = value.trim() === "" ? Number.NaN : Number(value);
  return Number.isFinite(number) ? number : null;
}

// Shared by the tests of src/data: temporary folders, collected streams, errors as values.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import type { Corpus, Document } from "../../src/data/index.ts";
import { UsageError } from "../../src/io/index.ts";

/** A folder with these files, gone after the test. */
export function folderWith(files: Readonly<Record<string, string | Uint8Array>> = {}): string {
  const folder = mkdtempSync(join(tmpdir(), "sae-carry-data-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  for (const [name, data] of Object.entries(files)) writeFileSync(join(folder, name), data);
  return folder;
}

/** The path of a file with this content, gone after the test. */
export function fileWith(data: string | Uint8Array, name = "corpus.txt"): string {
  return join(folderWith({ [name]: data }), name);
}

/** All items of a stream. */
export async function collect<T>(stream: AsyncIterable<T>): Promise<T[]> {
  const items: T[] = [];
  for await (const item of stream) items.push(item);
  return items;
}

/** The UsageError that `work` ends with. */
export async function refusal(work: () => unknown): Promise<UsageError> {
  try {
    await work();
  } catch (error) {
    if (error instanceof UsageError) return error;
    throw error;
  }
  throw new Error("expected a UsageError, but there was none");
}

/** `text` cut at random places, as a stream. */
export async function* inBlocks(text: string, lengths: readonly number[]): AsyncGenerator<string> {
  let start = 0;
  for (let i = 0; start < text.length; i++) {
    const end = start + Math.max(1, lengths[i % Math.max(1, lengths.length)] ?? 7);
    yield text.slice(start, end);
    start = end;
  }
}

/** A corpus in memory. */
export function corpusOf(texts: readonly string[], order: Corpus["order"] = "shuffled"): Corpus {
  async function* documents(): AsyncGenerator<Document> {
    for (const [i, text] of texts.entries()) yield { name: `d${i}`, text, meta: { n: i } };
  }
  return { name: "memory", order, documents, fingerprint: async () => "none" };
}

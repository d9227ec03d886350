/**
 * Opens a corpus by its kind. What can be checked without reading is checked at once (is the file there,
 * is it a file); the rest while its documents are read.
 */
import { readdirSync, type Stats, statSync } from "node:fs";
import { basename, join } from "node:path";
import { readProblem, sha256, sha256File, UsageError } from "../io/index.ts";
import { type Corpus, type CorpusSpec, type Document, longestDocument } from "./corpus.ts";
import { jsonlDocuments } from "./jsonl-documents.ts";
import { listAddresses } from "./sotu-documents.ts";
import { inParts, splitAtParagraphs, splitAtSeparator } from "./text-documents.ts";
import { endOfTextToken } from "./tokenizer-json.ts";
import { readUtf8 } from "./utf8-file.ts";

/** The files of a corpus and how they become documents. */
interface Source {
  readonly name: string;
  readonly files: readonly string[];
  documents(): AsyncIterable<Document>;
}

/** Opens a corpus. Errors: no such file or folder, no *.txt in it, the package of `sotu` missing. */
export function openCorpus(spec: CorpusSpec): Corpus {
  const source = openSource(spec);
  return {
    name: source.name,
    order: spec.order ?? "shuffled",
    documents: () => notEmpty(source),
    fingerprint: async () => {
      const parts = source.files.map((file) => `${basename(file)} ${sha256File(file)}`);
      return sha256([spec.kind, spec.kind === "jsonl" ? fieldOf(spec) : "", ...parts].join("\n"));
    },
  };
}

/** The corpus that `--text` names: a folder, a .jsonl (or .ndjson) file, any other file as text, or the word `sotu`. */
export function corpusSpecOf(text: string): CorpusSpec {
  if (text === "sotu" && statSync(text, { throwIfNoEntry: false }) === undefined) {
    return { kind: "sotu" };
  }
  if (statsOf(text).isDirectory()) return { kind: "folder", path: text };
  return { kind: /\.(jsonl|ndjson)$/i.test(text) ? "jsonl" : "text", path: text };
}

function fieldOf(spec: CorpusSpec): string {
  return spec.field ?? "text";
}

function openSource(spec: CorpusSpec): Source {
  if (spec.kind === "sotu") {
    const addresses = listAddresses();
    return {
      name: "sotu",
      files: addresses.map(({ path }) => path),
      documents: () => wholeFiles(addresses),
    };
  }
  const { path } = spec;
  if (path === undefined) {
    throw new UsageError({
      code: "corpus-path",
      where: `corpus of kind ${spec.kind}`,
      expected: "a path",
      got: "none",
    });
  }
  const stats = statsOf(path);
  if (spec.kind === "folder") {
    if (!stats.isDirectory()) throw wrongKind(path, "a folder", "a file", "text");
    const files = textFilesIn(path);
    return {
      name: basename(path),
      files: files.map(({ path }) => path),
      documents: () => wholeFiles(files),
    };
  }
  if (stats.isDirectory()) throw wrongKind(path, "a file", "a folder", "folder");
  if (!stats.isFile()) {
    throw new UsageError({
      code: "corpus-kind",
      where: path,
      expected: "a regular file (a corpus is read more than once)",
      got: "a pipe or device",
    });
  }
  return {
    name: basename(path),
    files: [path],
    documents: () =>
      spec.kind === "jsonl" ? jsonlDocuments(path, fieldOf(spec)) : textDocuments(path, stats.size),
  };
}

function statsOf(path: string): Stats {
  try {
    return statSync(path);
  } catch (error) {
    throw readProblem(error, path);
  }
}

function wrongKind(path: string, expected: string, got: string, kind: string): UsageError {
  const hint = `Read it as a corpus of kind ${kind}`;
  return new UsageError({ code: "corpus-kind", where: path, expected, got, hint });
}

interface TextFile {
  readonly file: string;
  readonly path: string;
  readonly meta: Readonly<Record<string, string | number>>;
}

function textFilesIn(folder: string): TextFile[] {
  const names = readdirSync(folder, { withFileTypes: true })
    .filter((entry) => !entry.isDirectory() && /\.txt$/i.test(entry.name))
    .map((entry) => entry.name)
    .sort();
  if (names.length > 0) {
    return names.map((file) => ({ file, path: join(folder, file), meta: {} }));
  }
  throw new UsageError({
    code: "corpus-empty",
    where: folder,
    expected: "a folder with *.txt files in it",
    got: "none",
    hint: "Folders inside it are not searched",
  });
}

// Each file is a document; one longer than `longestDocument` comes in parts.
async function* wholeFiles(files: readonly TextFile[]): AsyncGenerator<Document> {
  for (const { file, path, meta } of files) {
    let part = 0;
    let rest = "";
    const next = (text: string): Document => {
      part++;
      return { name: part === 1 ? file : `${file}#${part}`, text, meta };
    };
    for await (const block of readUtf8(path)) {
      rest += block;
      while (rest.length > longestDocument) {
        const [text] = inParts(rest, longestDocument);
        rest = rest.slice(text.length);
        yield next(text);
      }
    }
    if (rest.trim() !== "") yield next(rest);
  }
}

async function* textDocuments(path: string, bytes: number): AsyncGenerator<Document> {
  const file = basename(path);
  const texts = (await holdsSeparator(path))
    ? splitAtSeparator(readUtf8(path))
    : splitAtParagraphs(readUtf8(path), groupLengthFor(bytes));
  let number = 0;
  for await (const text of texts) {
    number++;
    if (text.trim() !== "") yield { name: `${file}#${number}`, text, meta: {} };
  }
}

// About 20 groups of paragraphs or more, of a size that holds many sequences but fits the file.
function groupLengthFor(bytes: number): number {
  return Math.min(65_536, Math.max(1_000, Math.ceil(bytes / 20)));
}

async function holdsSeparator(path: string): Promise<boolean> {
  let tail = "";
  for await (const block of readUtf8(path)) {
    const text = tail + block;
    if (text.includes(endOfTextToken)) return true;
    tail = text.slice(1 - endOfTextToken.length);
  }
  return false;
}

async function* notEmpty(source: Source): AsyncGenerator<Document> {
  let any = false;
  for await (const document of source.documents()) {
    any = true;
    yield document;
  }
  if (!any) {
    throw new UsageError({
      code: "corpus-empty",
      where: source.files[0],
      expected: "a corpus with text in it",
      got: "nothing but white space",
    });
  }
}

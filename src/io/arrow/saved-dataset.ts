/**
 * @file The Arrow files of a Hugging Face dataset saved to disk, as `datasets` and SAELens's cached activations
 * leave it: a folder whose `state.json` names them in order.
 * Source: datasets/arrow_dataset.py (`load_from_disk`), sae_lens/cache_activations_runner.py.
 */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { UsageError } from "../errors.ts";
import { readProblem } from "../file-errors.ts";
import { readJson } from "../json.ts";

/** The files of the dataset in `folder`, in order. Errors: UsageError where it is none, or names files outside of it. */
export function savedDatasetFiles(folder: string): string[] {
  const state = join(folder, "state.json");
  let names: string[];
  try {
    names = readdirSync(folder);
  } catch (error) {
    throw readProblem(error, folder);
  }
  if (!names.includes("state.json")) {
    throw new UsageError({
      code: "not-a-dataset",
      where: folder,
      expected: "an Arrow file, or a folder that datasets or SAELens saved, with state.json",
      got: names.includes("dataset_dict.json") ? "several splits" : "a folder without state.json",
      ...(names.includes("dataset_dict.json") && { hint: "Name the folder of one split" }),
    });
  }
  const found = (readJson(state) as { _data_files?: unknown } | null)?._data_files;
  const files = Array.isArray(found)
    ? found.map((file: { filename?: unknown } | null) => file?.filename)
    : [];
  const isName = (name: unknown): boolean =>
    typeof name === "string" && /^[^/\\]+\.arrow$/.test(name);
  if (files.length === 0 || !files.every(isName) || new Set(files).size < files.length) {
    throw new UsageError({
      code: "not-a-dataset",
      where: `${state}: _data_files`,
      expected: "the names of Arrow files in that folder, each once",
      got: JSON.stringify(found)?.slice(0, 200) ?? "nothing",
    });
  }
  return files.map((name) => join(folder, name as string));
}

/**
 * @file manifest.json of a run: format version, tool and backend versions, seed, stages with their state,
 * and the sha256 of each artefact. Keys are sorted: equal content gives equal bytes. No times in it.
 */
import { join } from "node:path";
import { writeFileAtomic } from "./atomic-file.ts";
import { UsageError } from "./errors.ts";
import { sha256File } from "./hash.ts";
import { describeJson, readJson } from "./json.ts";

/** How far a stage, or a task of it, is. */
export type StageState = "pending" | "running" | "done";

/** A stage in the manifest. */
export interface ManifestStage {
  readonly name: string;
  readonly state: StageState;
  /** Finer steps of the stage, by name. */
  readonly tasks?: Readonly<Record<string, StageState>>;
}

/** manifest.json. */
export interface RunManifest {
  readonly format: "sae-carry/run";
  readonly version: 1;
  readonly tool_version: string;
  readonly backend: { readonly name: string; readonly versions: Readonly<Record<string, string>> };
  readonly seed: number | string;
  readonly stages: readonly ManifestStage[];
  /** sha256 by path relative to the run, with `/`. */
  readonly artefacts: Readonly<Record<string, string>>;
}

/** The format version that this program writes and reads. */
export const manifestVersion = 1;

const fileName = "manifest.json";

/** Writes a run's manifest atomically. */
export function writeManifest(runDir: string, manifest: RunManifest): void {
  writeFileAtomic(join(runDir, fileName), `${JSON.stringify(sorted(manifest), null, 2)}\n`);
}

/** Reads and checks a run's manifest; one of another version is a UsageError that names both. */
export function readManifest(runDir: string): RunManifest {
  const path = join(runDir, fileName);
  const manifest = readJson(path);
  const bad = (field: string, expected: string, value: unknown): UsageError => {
    const got = describeJson(value);
    return new UsageError({ code: "manifest", where: `${path}: ${field}`, expected, got });
  };
  if (!isObject(manifest) || manifest.format !== "sae-carry/run") {
    const got = isObject(manifest) ? manifest.format : manifest;
    throw bad("format", '"sae-carry/run"', got);
  }
  const { version, tool_version: tool, backend, seed, stages, artefacts } = manifest;
  if (version !== manifestVersion) {
    throw new UsageError({
      code: "manifest-version",
      where: `${path}: version`,
      expected: `format version ${manifestVersion}, which this sae-carry writes`,
      got: `format version ${describeJson(version)}, written by sae-carry ${describeJson(tool)}`,
      hint: "Go on with the version of sae-carry that began the run, or begin a new run",
    });
  }
  if (typeof tool !== "string") throw bad("tool_version", "a string", tool);
  if (!isObject(backend) || typeof backend.name !== "string" || !isRecord(backend.versions)) {
    throw bad("backend", "a name and versions", backend);
  }
  if (typeof seed !== "number" && typeof seed !== "string") throw bad("seed", "a seed", seed);
  if (!Array.isArray(stages)) throw bad("stages", "a list", stages);
  for (const [i, stage] of stages.entries()) {
    if (!isStage(stage)) throw bad(`stages[${i}]`, "a name, a state and tasks", stage);
  }
  if (!isRecord(artefacts)) throw bad("artefacts", "hashes by path", artefacts);
  for (const [name, hash] of Object.entries(artefacts)) {
    if (!isInside(name)) throw bad("artefacts", "paths inside the run", name);
    if (!/^[0-9a-f]{64}$/.test(hash)) throw bad(`artefacts: ${name}`, "a sha256", hash);
  }
  return manifest as unknown as RunManifest;
}

/** The manifest with the current hashes of `paths`, relative to the run, added or replaced. */
export function withArtefacts(
  manifest: RunManifest,
  runDir: string,
  paths: readonly string[],
): RunManifest {
  const hashes = paths.map((path) => {
    if (!isInside(path)) throw new Error(`internal: artefact ${path} is not inside the run`);
    return [path, sha256File(join(runDir, path))];
  });
  return { ...manifest, artefacts: { ...manifest.artefacts, ...Object.fromEntries(hashes) } };
}

/** Artefacts that are missing or differ from their hash; all of the manifest's, or those named. */
export function changedArtefacts(
  manifest: RunManifest,
  runDir: string,
  paths: readonly string[] = Object.keys(manifest.artefacts),
): string[] {
  return paths.filter((path) => {
    try {
      return sha256File(join(runDir, path)) !== manifest.artefacts[path];
    } catch (error) {
      if (error instanceof UsageError) return true; // missing or unreadable
      throw error;
    }
  });
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (!isObject(value)) return value;
  const keys = Object.keys(value).sort();
  return Object.fromEntries(keys.map((key) => [key, sorted(value[key])]));
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isRecord(value: unknown): value is Record<string, string> {
  return isObject(value) && Object.values(value).every((item) => typeof item === "string");
}

function isStage(value: unknown): value is ManifestStage {
  if (!isObject(value) || typeof value.name !== "string" || !isState(value.state)) return false;
  const { tasks } = value;
  return tasks === undefined || (isObject(tasks) && Object.values(tasks).every(isState));
}

function isState(value: unknown): value is StageState {
  return value === "pending" || value === "running" || value === "done";
}

function isInside(path: string): boolean {
  return !/^[/\\]|^[a-zA-Z]:|\\|\0/.test(path) && !path.split("/").includes("..") && path !== "";
}

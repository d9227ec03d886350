/** @file Takes over a finished task from another run, where what it does depends on nothing that differs between the two. */
import { cpSync } from "node:fs";
import { join } from "node:path";
import { readManifest, writeManifest } from "../../src/io/index.ts";

/** A task and where its artefacts are, of a stage that the taking run hasn't begun. */
export interface SharedTask {
  readonly stage: string;
  readonly id: string;
  /** Folder of everything it writes. */
  readonly folder: string;
}

/** Copies the task's artefacts and its training curve from one run to another and records it there as done. Returns whether it was done. */
export function takeOver({ stage, id, folder }: SharedTask, from: string, to: string): boolean {
  const donor = readManifest(from);
  if (donor.stages.find(({ name }) => name === stage)?.tasks?.[id] !== "done") return false;
  for (const path of [folder, join(".work", id)]) {
    cpSync(join(from, path), join(to, path), { recursive: true });
  }
  const own = readManifest(to);
  const taken = Object.entries(donor.artefacts).filter(([path]) => path.startsWith(`${folder}/`));
  writeManifest(to, {
    ...own,
    stages: [...own.stages, { name: stage, state: "running", tasks: { [id]: "done" } }],
    artefacts: { ...own.artefacts, ...Object.fromEntries(taken) },
  });
  return true;
}

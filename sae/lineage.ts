/**
 * @file Where each latent of an SAE comes from, through all stages, and its file lineage.arrow:
 * latent int32, lineage_stage utf8 (where it first appeared), lineage_parent int32 (its index in the
 * SAE of the stage before, −1 = none), ancestor_stages list<utf8> and ancestor_latents list<int32>
 * (oldest first). Carried latents keep their index and new ones are appended behind them.
 */
import { int32, list, readArrow, UsageError, utf8, writeArrowTable } from "../src/io/index.ts";

/** A latent in the SAE of an earlier stage. */
export interface Ancestor {
  readonly stage: string;
  readonly latent: number;
}

/** The origins of all latents of one SAE. */
export interface Lineage {
  /** The stage whose SAE this is. */
  readonly current: string;
  /** Stage in which each latent first appeared, [d_sae]. */
  readonly stage: readonly string[];
  /** Its index in the SAE of the stage before; −1 = appended, or of a first SAE, [d_sae]. */
  readonly parent: Int32Array;
  /** Its ancestors, oldest first, [d_sae]. */
  readonly ancestors: readonly (readonly Ancestor[])[];
}

const format = "sae-carry/lineage";

/** The lineage of an SAE trained from scratch in `stage`. */
export function freshLineage(d_sae: number, stage: string): Lineage {
  return {
    current: stage,
    stage: new Array<string>(d_sae).fill(stage),
    parent: new Int32Array(d_sae).fill(-1),
    ancestors: Array.from({ length: d_sae }, () => []),
  };
}

/**
 * The lineage of that SAE continued in `stage` with `appended` new latents behind its own. Where
 * `lineage` is of the same stage already, only the new latents are added.
 */
export function appendLineage(lineage: Lineage, appended: number, stage: string): Lineage {
  const isSameStage = lineage.current === stage;
  const kept = lineage.stage.length;
  const parent = new Int32Array(kept + appended).fill(-1);
  for (let i = 0; i < kept; i++) parent[i] = isSameStage ? lineage.parent[i] : i;
  const ancestors = lineage.ancestors.map((before, latent) =>
    isSameStage ? before : [...before, { stage: lineage.current, latent }],
  );
  const fresh = freshLineage(appended, stage);
  return {
    current: stage,
    stage: [...lineage.stage, ...fresh.stage],
    parent,
    ancestors: [...ancestors, ...fresh.ancestors],
  };
}

/** Writes lineage.arrow; same lineage, same bytes. */
export function writeLineage(path: string, { current, stage, parent, ancestors }: Lineage): void {
  writeArrowTable(
    path,
    [
      { name: "latent", type: int32, values: Int32Array.from(parent.keys()) },
      { name: "lineage_stage", type: utf8, values: stage },
      { name: "lineage_parent", type: int32, values: parent },
      {
        name: "ancestor_stages",
        type: list(utf8),
        values: ancestors.map((steps) => steps.map((step) => step.stage)),
      },
      {
        name: "ancestor_latents",
        type: list(int32),
        values: ancestors.map((steps) => steps.map(({ latent }) => latent)),
      },
    ],
    { "sae_carry.format": format, "sae_carry.version": "1", "sae_carry.stage": current },
  );
}

/** Reads lineage.arrow. Errors: UsageError for another kind of file or rows that don't fit together. */
export function readLineage(path: string): Lineage {
  const table = readArrow(path);
  const fail = (expected: string, got: string): never => {
    throw new UsageError({ code: "bad-lineage", where: path, expected, got });
  };
  const { metadata } = table;
  if (metadata["sae_carry.format"] !== format || metadata["sae_carry.version"] !== "1") {
    fail(`${format} version 1`, metadata["sae_carry.format"] ?? "another Arrow file");
  }
  const latent = table.int32("latent");
  latent.forEach((index, row) => {
    if (index !== row) fail(`latent ${row} in row ${row}`, `latent ${index}`);
  });
  const texts = (value: unknown) => value as readonly string[];
  const ancestors = Array.from(latent, (_, row): Ancestor[] => {
    const stages = texts(table.value("ancestor_stages", row));
    const latents = table.value("ancestor_latents", row) as ArrayLike<number>;
    if (stages.length !== latents.length) {
      fail(`as many ancestor_latents as ancestor_stages in row ${row}`, `${latents.length}`);
    }
    return stages.map((stage, i) => ({ stage, latent: Number(latents[i]) }));
  });
  return {
    current: metadata["sae_carry.stage"] ?? fail("sae_carry.stage in the metadata", "none"),
    stage: table
      .strings("lineage_stage")
      .map((stage, row) => stage ?? fail(`a lineage_stage in row ${row}`, "null")),
    parent: table.int32("lineage_parent"),
    ancestors,
  };
}

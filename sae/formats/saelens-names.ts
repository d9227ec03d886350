/**
 * @file SAELens's names for what it reads in inference: `standard`, `gated`, `topk` and `jumprelu` SAEs, and transcoders
 * of two of these kinds with and without a skip connection (`transcoder`, `skip_transcoder`, `jumprelu_transcoder`,
 * `jumprelu_skip_transcoder`). Transcoders that select by rank or by gates have no name there: theirs are made after the
 * same pattern (`topk_transcoder`), and SAELens refuses them, as it refuses any name that it doesn't know.
 */
import type { ArchitectureTraits } from "../architectures.ts";

type Stored = ArchitectureTraits["stored"];

/** What an `architecture` of a cfg.json says. */
export interface StoredKind {
  /** How latents are selected. */
  readonly stored: Stored;
  readonly isTranscoder: boolean;
  readonly hasSkip: boolean;
}

const selections: readonly Stored[] = ["standard", "gated", "topk", "jumprelu"];

/** The name of a kind. */
export function storedName({ stored, isTranscoder, hasSkip }: StoredKind): string {
  if (!isTranscoder) return stored;
  const selection = stored === "standard" ? "" : `${stored}_`;
  return `${selection}${hasSkip ? "skip_" : ""}transcoder`;
}

const kinds = new Map<string, StoredKind>(
  [
    [false, false],
    [true, false],
    [true, true],
  ].flatMap(([isTranscoder, hasSkip]) =>
    selections.map((stored): [string, StoredKind] => {
      const kind = { stored, isTranscoder, hasSkip };
      return [storedName(kind), kind];
    }),
  ),
);

/** Every name that is read. */
export const storedNames: readonly string[] = [...kinds.keys()];

/** What a name of `storedNames` says. */
export function storedKind(name: string): StoredKind {
  const kind = kinds.get(name);
  if (!kind) throw new Error(`internal: no architecture ${name} is stored`);
  return kind;
}

/**
 * The verdicts in words and colours, worst first: one list that the charts, the table and the glossary
 * share. `colour` names a custom property of the style sheet.
 */

/** A verdict as it is shown. */
export interface VerdictWords {
  readonly key: string;
  readonly label: string;
  /** `--<colour>` in the style sheet. */
  readonly colour: string;
  /** What it takes to get it. */
  readonly meaning: string;
}

/** All verdicts, the worst first. */
export const verdictWords: readonly VerdictWords[] = [
  {
    key: "died",
    label: "Died",
    colour: "died",
    meaning:
      "no latent of the carried SAE does its work, no two to four share it, too few fresh SAEs of the child have it, and no probe reads it from the child above the random-weights null",
  },
  {
    key: "lost_by_sae",
    label: "Lost by the SAE",
    colour: "lost",
    meaning:
      "no latent of the carried SAE has it, but fresh SAEs of the child or a probe find it: it is in the model",
  },
  {
    key: "drifted_meaning",
    label: "Drifted in meaning",
    colour: "drifted",
    meaning: "the direction is where it was, but it fires on other tokens",
  },
  {
    key: "drifted_direction",
    label: "Drifted in direction",
    colour: "drifted",
    meaning: "the same tokens, in another direction",
  },
  {
    key: "split",
    label: "Split",
    colour: "split",
    meaning:
      "two to four child latents share its firings out: each fires mostly inside it, and together they add up to it better than any single one",
  },
  {
    key: "absorbed",
    label: "Absorbed",
    colour: "split",
    meaning:
      "its heir went on in its direction, but child latents of other directions took over part of its firings",
  },
  {
    key: "merged",
    label: "Merged",
    colour: "split",
    meaning:
      "one child latent does the work of several parent latents, none of which has an heir of its own",
  },
  {
    key: "uncertain",
    label: "Uncertain",
    colour: "uncertain",
    meaning:
      "something correlates above the threshold, but the rest of the evidence is missing or straddles it; never counted as anything else",
  },
  {
    key: "carried_only",
    label: "Carried only",
    colour: "carried",
    meaning:
      "match, function and direction agree, but nothing outside the carried dictionary witnesses it",
  },
  {
    key: "persisted",
    label: "Persisted",
    colour: "persisted",
    meaning:
      "mutual best match, same function, direction above its null, and a witness that owes nothing to the carried dictionary",
  },
  {
    key: "born",
    label: "Born",
    colour: "born",
    meaning: "a child latent without an ancestor that no probe reads from the parent",
  },
  {
    key: "uncovered",
    label: "Uncovered",
    colour: "uncovered",
    meaning: "a child latent without an ancestor, but a probe reads it from the parent",
  },
  {
    key: "related",
    label: "Related",
    colour: "other",
    meaning: "a child latent close to a parent latent that matches another one better",
  },
  {
    key: "unknown",
    label: "Unknown",
    colour: "unknown",
    meaning:
      "it fires too rarely to be judged, or no fresh SAE of the parent found it; in no share of verdicts",
  },
];

const byKey = new Map(verdictWords.map((words) => [words.key, words]));

/** A verdict's words; one that is not in the list is shown under its own name. */
export function wordsOf(key: string): VerdictWords {
  return byKey.get(key) ?? { key, label: key, colour: "other", meaning: "" };
}

/** Position in the worst-first order; what is not in the list comes last. */
export function severity(key: string): number {
  const at = verdictWords.findIndex((words) => words.key === key);
  return at < 0 ? verdictWords.length : at;
}

/** Whether the latent has a confirmed heir with the same function and direction. */
export function isKept(key: string): boolean {
  return key === "persisted" || key === "carried_only";
}

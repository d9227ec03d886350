/** The words of the report, each in a sentence. Keys are what tiles and headings refer to. */

/** A term and what it means. */
export interface Term {
  readonly term: string;
  readonly meaning: string;
}

/** All terms, in the order in which they are shown. */
export const glossary: readonly Term[] = [
  {
    term: "feature, latent",
    meaning:
      "one unit of a sparse autoencoder (SAE). A parent latent belongs to the model before an expansion, a child latent to the model after it.",
  },
  {
    term: "stage",
    meaning:
      "00 base is the small model; every expansion adds a stage: the model is grown, its SAE carried along the same linear map, and both are trained on.",
  },
  {
    term: "match",
    meaning:
      "two latents that are each other’s best by activation correlation on the same held-out tokens.",
  },
  {
    term: "function",
    meaning:
      "correlation above its threshold and strong containment both ways: of the tokens where one fires above half of its own 99th percentile, the share where the other fires at all.",
  },
  {
    term: "τ",
    meaning:
      "a threshold: the larger of a fixed floor and the 99th percentile of a null measured in this run (random directions for cosines, circular token shifts for correlations).",
  },
  {
    term: "witness",
    meaning:
      "evidence that owes nothing to the carried dictionary: at least half of the fresh child SAEs find the feature, or a linear probe reads it from the child nearly as well as from the parent and better than from random weights.",
  },
  {
    term: "pieces",
    meaning:
      "two to four child latents that share one parent latent’s firings. R² says how well they add up to it with weights that are not negative; the gain over the best single latent is held against the same search on latents moved along the text.",
  },
  {
    term: "scaling",
    meaning:
      "how strongly the child writes a latent’s direction when the latent fires, over how strongly the parent does: 1 as before, 0 not at all. It asks no SAE of the child.",
  },
  {
    term: "CG, FG, CS, FS, CP, FP",
    meaning:
      "shares of features with a function match. First letter: Carried or Fresh SAE. Second: Grown model, from-Scratch model, unchanged Parent.",
  },
  {
    term: "corrected persistence",
    meaning:
      "(CG − CS) / (CP − CS): what the carried SAE finds beyond what it would find in any such model, as a share of what it finds when the model does not change at all.",
  },
  {
    term: "inheritance",
    meaning:
      "FG − FS: what a fresh SAE finds in the grown model beyond what it finds in a model that never had the parent.",
  },
  {
    term: "carry bonus",
    meaning: "(CG − CS) − (FG − FS): what carrying the SAE lets us see that a fresh one misses.",
  },
  {
    term: "inertia",
    meaning:
      "the share of latents whose decoder stays near where it started. High on random weights too, which is why cosine to the old direction is not evidence.",
  },
  {
    term: "tokens ratio",
    meaning:
      "SAE training tokens that the carried SAE needs to reach a fresh SAE’s final FVU, over the fresh SAE’s tokens.",
  },
  {
    term: "fvu",
    meaning:
      "fraction of variance unexplained by the SAE’s reconstruction, first tokens left out; PCA at the rank of L0 is a floor that a sparse dictionary should beat.",
  },
  {
    term: "ce score",
    meaning:
      "share of the loss between ablating the activations to zero and leaving them alone that remains when the reconstruction takes their place.",
  },
  { term: "l0", meaning: "latents active on a token, on average." },
  { term: "dead", meaning: "a latent that never fires in the held-out text." },
  {
    term: "held-out loss",
    meaning: "cross-entropy in nats per token on documents that were never trained on.",
  },
  {
    term: "off-image energy",
    meaning:
      "share of the activations’ energy outside the image of the expansion map. If it stayed at zero the child could not differ from its parent, and persistence would mean nothing.",
  },
  {
    term: "copy spread",
    meaning: "how far coordinates that start as copies of one another have come apart.",
  },
  {
    term: "faithfulness",
    meaning:
      "share of a task’s effect that is left when everything outside the circuit is patched from corrupted prompts. Not clipped: above 1 and below 0 are possible.",
  },
];

/** The meaning of a term, for a tooltip; empty for one that is not in the list. */
export function meaningOf(term: string): string {
  return glossary.find((entry) => entry.term === term)?.meaning ?? "";
}

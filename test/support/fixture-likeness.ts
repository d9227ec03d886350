// likeness.json of a stage of the fixture run: curves over training that fall from where the expansion left them, beside a
// from-scratch model at the last stage.
import { join } from "node:path";
import { writeJsonAtomic } from "../../src/io/index.ts";

const estimate = (value: number) => ({ value, ci: [value - 0.02, value + 0.02] });

/** Writes the curves of `tokens` tokens of training after `before` tokens of the parent's. */
export function writeFixtureLikeness(
  dir: string,
  {
    stage,
    before,
    tokens,
  }: { readonly stage: string; readonly before: number; readonly tokens: number },
  hasScratch: boolean,
): void {
  const pair = (parent: number, scratch: number) => ({
    to_parent: estimate(parent),
    to_scratch: hasScratch ? estimate(scratch) : null,
  });
  const shares = [0, 0.125, 0.25, 0.5, 1];
  const child = shares.map((share) => ({
    tokens: share * tokens,
    total_tokens: before + share * tokens,
    ...pair(1 - 0.12 * Math.sqrt(share), 0.41 + 0.05 * share),
    in_place: estimate(1 - 0.3 * Math.sqrt(share)),
    corrected: hasScratch ? estimate(1 - 0.24 * Math.sqrt(share)) : { value: null, ci: null },
  }));
  const scratch = shares.slice(1).map((share) => ({
    total_tokens: share * (before + tokens),
    to_parent: estimate(0.3 + 0.15 * share),
  }));
  writeJsonAtomic(join(dir, "likeness.json"), {
    format: "sae-carry/likeness",
    version: 1,
    stage,
    saes: [
      {
        sae: "resid",
        child,
        scratch: hasScratch ? scratch : null,
        references: {
          parent: pair(1, 0.43),
          no_expand: hasScratch ? pair(0.93, 0.45) : null,
          random: pair(0.11, 0.09),
        },
        crossings: { half: null, scratch_nearer: null },
      },
    ],
  });
}

// Which pairs of a persistence table have their effects measured, on a table written by hand.
import { expect, test } from "vitest";
import { mutualMatches } from "../../../../cli/run/tasks/effect-columns.ts";

test("effects are measured on mutual matches: a nearest latent that belongs to another, or of a latent that is gone, is none", () => {
  const parents: readonly (readonly [verdict: string, matches: readonly number[]])[] = [
    ["persisted", [1]],
    ["uncertain", [1]], // latent 1 of the child is nearer to parent 0
    ["died", [2]], // nearest to one another, and yet no match
    ["lost_by_sae", [3]],
    ["unknown", [4]],
    ["split", [5, 6]],
    ["merged", [7]],
    ["merged", [7]],
    ["drifted_direction", [0]],
    ["uncertain", []], // shares no firing with any
  ];
  const children: readonly (readonly number[])[] = [[8], [0], [2], [3], [4], [5], [5], [6, 7], []];
  const rows = {
    side: [...parents.map(() => "parent" as const), ...children.map(() => "child" as const)],
    latent: Int32Array.of(...parents.keys(), ...children.keys()),
    verdict: [...parents.map(([verdict]) => verdict), ...children.map(() => "related")],
    matches: [...parents.map(([, matches]) => matches), ...children],
  };
  expect(mutualMatches(rows)).toEqual([0, 5, 6, 8]);
});

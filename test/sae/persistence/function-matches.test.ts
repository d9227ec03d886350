// Shares of a dictionary that another has, replicate by replicate: worked out on blocks in which a latent is silent.
import { describe, expect, test } from "vitest";
import {
  interval,
  type Resampling,
  resample,
  sequenceBlocks,
} from "../../../sae/persistence/bootstrap.ts";
import { withLevels } from "../../../sae/persistence/containment.ts";
import { firingsOf } from "../../../sae/persistence/firings.ts";
import {
  type FunctionShares,
  functionMatches,
  functionShares,
  prepareSide,
} from "../../../sae/persistence/function-matches.ts";
import { createRng } from "../../../src/engine/random.ts";
import { codesOf } from "./support.ts";

type Table = readonly (readonly number[])[];

function shares(parent: Table, child: Table, resampling: Resampling): FunctionShares {
  const side = prepareSide(codesOf(parent), "parent", 1, 0.95);
  const codes = codesOf(child);
  const firings = withLevels(firingsOf(codes, "child"));
  const tau = new Float64Array(parent[0].length).fill(0.5);
  const matches = functionMatches(side, codes, firings, tau, 0.7);
  return functionShares(side, firings, matches, tau, 0.7, resampling, false);
}

describe("functionShares", () => {
  test("of latents that fire in one block of a hundred each, in the same dictionary, are 1 in every replicate", () => {
    const table = Array.from({ length: 400 }, (_, t) =>
      Array.from({ length: 30 }, (_, i) => (Math.floor(t / 4) === 3 * i ? 1 + (t % 4) : 0)),
    );
    const blocks = sequenceBlocks(400, 4, 100);
    const resampling = resample(blocks, new Float64Array(30).fill(1), 100, createRng("rare"));
    const { function: found, match } = shares(table, table, resampling);
    expect([found.value, match.value]).toEqual([1, 1]);
    expect([interval(found), interval(match)]).toEqual([
      [1, 1],
      [1, 1],
    ]);
  });

  // three blocks of two tokens: one latent fires strongly in the first, weakly in the second, not in the third
  const parent = [[4], [0], [1], [0], [0], [0]];
  const drawnAlone: Resampling = {
    replicates: 3,
    nBlocks: 3,
    blockOf: Int32Array.of(0, 0, 1, 1, 2, 2),
    blockTokens: Float64Array.of(2, 2, 2),
    blockDraws: Uint8Array.of(3, 0, 0, 0, 3, 0, 0, 0, 3),
    groupDraws: Uint8Array.of(1, 1, 1),
    groupSizes: Float64Array.of(1),
  };

  test("blocks without the latent leave its outcome as it is, and without a strong firing its containment", () => {
    expect([...shares(parent, parent, drawnAlone).foundIn]).toEqual([1, 1, 1]);
    // a latent that is nowhere found is not found where it is silent either
    const other = [[0], [4], [0], [1], [0], [0]];
    expect([...shares(parent, other, drawnAlone).foundIn]).toEqual([0, 0, 0]);
  });

  test("blocks in which only the other dictionary is silent count against it", () => {
    // r = .97 in the full sample, and the strong firing is shared: found
    const strongOnly = [[4], [0], [0], [0], [0], [0]];
    const { function: found, match, foundIn } = shares(parent, strongOnly, drawnAlone);
    expect(found.value).toBe(1);
    expect([...foundIn]).toEqual([1, 0, 1]);
    expect([...match.replicates]).toEqual([1, 0, 1]);
  });
});

// The native kernels under correlation give the numbers of the plain loops, bit by bit, on any number of threads.
import { afterAll, expect } from "vitest";
import { correlationMatches } from "../../../sae/persistence/correlation.ts";
import { firingsOf } from "../../../sae/persistence/firings.ts";
import { shiftNull } from "../../../sae/persistence/shift-null.ts";
import { createRng, sparseCorrelation, useBackend } from "../../../src/engine/index.ts";
import { missingNative } from "../../support/native.ts";
import { testWith } from "../../support/require.ts";
import { codesOf, randomTable } from "./support.ts";

const native = testWith("native", await missingNative());

afterAll(async () => {
  await useBackend("wasm");
});

/** What `body` gives on wasm and on native with one thread and with three. */
async function onBoth<T>(body: () => T): Promise<[T, T, T]> {
  await useBackend("wasm");
  expect(sparseCorrelation()).toBeUndefined();
  const plain = body();
  await useBackend("native", { threads: 1 });
  expect(sparseCorrelation()).toBeDefined();
  const alone = body();
  await useBackend("native", { threads: 3 });
  return [plain, alone, body()];
}

for (const [tokens, parents, children, top] of [
  [1, 1, 1, 1],
  [7, 3, 5, 4],
  [300, 131, 67, 3],
  [200, 67, 301, 1],
]) {
  native(`${parents} latents among ${children} on ${tokens} tokens, the best ${top}`, async () => {
    const [a, b] = [randomTable(1, tokens, parents), randomTable(2, tokens, children)];
    // latents that never fire, are always the same, or twice there
    for (const row of a) row[parents >> 1] = 0;
    for (const row of b) {
      row[children >> 1] = 1.5;
      row[children - 1] = row[0];
    }
    const codes = codesOf(b);
    const [parent, child] = [firingsOf(codesOf(a), "a"), firingsOf(codes, "b")];
    const candidates = Uint8Array.from({ length: parents }, (_, i) => (i % 3 === 0 ? 0 : 1));
    for (const options of [{ top }, { top, candidates }]) {
      const [plain, alone, together] = await onBoth(() =>
        correlationMatches(parent, child, codes, options),
      );
      expect(alone).toEqual(plain);
      expect(together).toEqual(plain);
    }
    const [plain, alone, together] = await onBoth(() =>
      shiftNull(parent, child, codes, new Uint8Array(parents).fill(1), createRng("shifts"), {
        draws: 40,
        sequenceLength: 5,
      }),
    );
    expect(alone).toEqual(plain);
    expect(together).toEqual(plain);
  });
}

native("codes that name latents which are not there are an error, not a crash", async () => {
  await useBackend("native");
  const codes = codesOf(randomTable(3, 20, 4));
  const { start, token, value, mean, norm, nTokens } = firingsOf(codes, "codes");
  const columns = { rows: nTokens, start, row: token, value, mean, norm };
  const rows = { start: codes.rowStart, column: codes.latent.map(() => 99), value, mean, norm };
  expect(() => sparseCorrelation()?.sparseMatches(columns, rows, 1, undefined)).toThrow();
});

import fc from "fast-check";
import { expect, test } from "vitest";
import { splitDocuments } from "../../src/data/index.ts";
import { refusal } from "./support.ts";

const keys = fc
  .array(fc.string(), { minLength: 2, maxLength: 60 })
  .map((names) => names.map((name, index) => ({ name, index })));
const fraction = fc.double({ min: 0.01, max: 0.99, noNaN: true });

test("the share asked for is held out, and at least one document is on each side", () => {
  fc.assert(
    fc.property(keys, fraction, fc.integer(), (documents, heldOutFraction, seed) => {
      const flags = splitDocuments(documents, { heldOutFraction, seed });
      expect(flags).toHaveLength(documents.length);
      const heldOut = flags.filter(Boolean).length;
      expect(heldOut).toBeGreaterThanOrEqual(1);
      expect(heldOut).toBeLessThan(documents.length);
      const wanted = Math.round(heldOutFraction * documents.length);
      if (wanted >= 1 && wanted < documents.length) expect(heldOut).toBe(wanted);
    }),
  );
});

test("the same seed splits the same way, another seed otherwise", () => {
  const documents = Array.from({ length: 100 }, (_, index) => ({ name: `d${index}`, index }));
  const split = splitDocuments(documents, { seed: 3 });
  expect(splitDocuments(documents, { seed: 3 })).toEqual(split);
  expect(splitDocuments(documents, { seed: 4 })).not.toEqual(split);
});

test("documents of the same name are told apart by their place", () => {
  const documents = Array.from({ length: 100 }, (_, index) => ({ name: "same", index }));
  expect(splitDocuments(documents).filter(Boolean)).toHaveLength(10);
});

test("over many seeds every document is held out about equally often", () => {
  const documents = Array.from({ length: 20 }, (_, index) => ({ name: `d${index}`, index }));
  const counts = new Array<number>(20).fill(0);
  for (let seed = 0; seed < 500; seed++) {
    splitDocuments(documents, { seed }).forEach((held, i) => {
      if (held) counts[i]++;
    });
  }
  for (const count of counts) expect(Math.abs(count - 50)).toBeLessThan(35); // 5 standard deviations
});

test("one document, or a share outside (0, 1), is refused", async () => {
  const two = [0, 1].map((index) => ({ name: "d", index }));
  expect((await refusal(() => splitDocuments(two.slice(1)))).message).toMatch(
    /two documents.*got 1/,
  );
  for (const heldOutFraction of [0, 1, -0.1, Number.NaN]) {
    expect((await refusal(() => splitDocuments(two, { heldOutFraction }))).code).toBe(
      "held-out-fraction",
    );
  }
});

import { expect, test } from "vitest";
import type { Histograms } from "../../../reports/run-data/persistence.ts";
import { correlationHistogram, cosineHistogram } from "../../../reports/view/histograms.ts";
import { persistence } from "../small-run.ts";

const histograms: Histograms = {
  edges: [-1, -0.5, 0, 0.5, 1],
  correlation: { carried: [0, 0, 1, 3], fresh: [0, 0, 4, 4], null: [0, 0, 10, 0] },
  cosine: { carried: [0, 0, 0, 2], reinit: [0, 0, 0, 0], null: [0, 5, 5, 0] },
};

test("each series is shares of its own total", () => {
  const view = correlationHistogram(persistence({ histograms }));
  expect(view).toMatchObject({
    edges: [0, 0.5, 1],
    bars: [0.25, 0.75],
    line: [0.5, 0.5],
    behind: [1, 0],
    threshold: 0.5,
    nullP99: 0.09,
  });
});

test("the axis goes below zero only where something is, and an arm without counts has no line", () => {
  const view = cosineHistogram(persistence({ histograms }));
  expect(view?.edges).toEqual([-0.5, 0, 0.5, 1]);
  expect(view?.line).toBeNull();
  expect(view?.bars).toEqual([0, 0, 1]);
});

test("no histogram, or an empty one, is null", () => {
  expect(correlationHistogram(null)).toBeNull();
  expect(correlationHistogram(persistence())).toBeNull();
  const none = [0, 0, 0, 0];
  const empty = { ...histograms, correlation: { carried: none, fresh: none, null: none } };
  expect(correlationHistogram(persistence({ histograms: empty }))).toBeNull();
});

import { expect, test } from "vitest";
import { fatesView, throughAll } from "../../../reports/view/fates.ts";
import { firstRows, run, stage, table, twoExpansions } from "../small-run.ts";

test("base latents flow into their verdicts, and newcomers join beside them", () => {
  const view = fatesView(
    run([stage("00-base"), stage("01-wider", { verdicts: table(firstRows) })]),
  );
  expect(view?.columns.map(({ label }) => label)).toEqual(["00 base", "01 wider"]);
  expect(
    view?.nodes.map(({ column, key, count, leaving }) => [column, key, count, leaving]),
  ).toEqual([
    [0, "base", 4, 4],
    [1, "persisted", 1, 0],
    [1, "carried_only", 1, 0],
    [1, "died", 1, 0],
    [1, "unknown", 1, 0],
    [1, "born", 1, 0],
    [1, "joined", 1, 0],
  ]);
  expect(view?.links.map(({ from, to, count }) => [from, to, count])).toEqual([
    ["base", "persisted", 1],
    ["base", "carried_only", 1],
    ["base", "died", 1],
    ["base", "unknown", 1],
  ]);
});

test("heirs and newcomers of one stage are the parents of the next", () => {
  const view = fatesView(twoExpansions());
  expect(
    view?.links
      .filter(({ column }) => column === 1)
      .map(({ from, to, count }) => [from, to, count]),
  ).toEqual([
    ["persisted", "persisted", 1],
    ["carried_only", "drifted", 1],
    ["unknown", "unknown", 1],
    ["born", "persisted", 1],
    ["joined", "uncertain", 1],
  ]);
});

test("what leaves a column is every latent of the stage, whatever it is called", () => {
  const view = fatesView(twoExpansions());
  const leaving = view?.nodes
    .filter(({ column }) => column === 1)
    .reduce((sum, node) => sum + node.leaving, 0);
  expect(leaving).toBe(5);
  const arriving = view?.links
    .filter(({ column }) => column === 1)
    .reduce((sum, link) => sum + link.count, 0);
  expect(arriving).toBe(5);
});

test("the nearest child of an uncertain parent stays with it", () => {
  const rows = table([
    ["parent", 0, "uncertain", 0],
    ["child", 0, "related", 0],
  ]);
  const next = table([["parent", 0, "died", -1]]);
  const view = fatesView(
    run([
      stage("00-base"),
      stage("01-wider", { verdicts: rows }),
      stage("02-deeper", { verdicts: next }),
    ]),
  );
  expect(view?.links.find(({ column }) => column === 1)).toMatchObject({
    from: "uncertain",
    to: "died",
  });
});

test("a run without a comparison has no flow", () => {
  expect(fatesView(run([stage("00-base"), stage("01-wider")]))).toBeNull();
});

test("features through all stages follow the matches, and unknown ones are not counted", () => {
  expect(throughAll(twoExpansions(), 1)).toEqual({ eligible: 3, kept: 2 });
  // 0 stays 0; 1 became 2, which drifted
  expect(throughAll(twoExpansions(), 2)).toEqual({ eligible: 3, kept: 1 });
  expect(throughAll(run([stage("00-base"), stage("01-wider")]), 1)).toBeNull();
});

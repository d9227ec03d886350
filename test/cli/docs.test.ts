// docs/plan.md and docs/json.md are what the schemas say. To write them anew: npm run docs
import { expect, test } from "vitest";
import { jsonPage, planPage } from "../../scripts/docs.ts";

test("docs/plan.md is current", async () => {
  await expect(planPage()).toMatchFileSnapshot("../../docs/plan.md");
});

test("docs/json.md is current", async () => {
  await expect(jsonPage()).toMatchFileSnapshot("../../docs/json.md");
});

test("every key of the plan has a description", () => {
  const bare = planPage()
    .split("\n")
    .filter((line) => line.startsWith("| ") && /\| +\|$/.test(line));
  expect(bare.filter((line) => !line.startsWith("| key"))).toEqual([]);
});

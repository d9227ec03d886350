/** The best matches of each row of one dictionary among the rows of another, by cosine. */
import { bestMatches, createRng } from "../../src/engine/index.ts";
import { writeRaw } from "./raw.ts";
import type { PrepareTask } from "./task.ts";

/** Sizes latents (of each dictionary), d, m. The numbers told: mean sum of a row's cosines, mean index. */
export const prepareMatch: PrepareTask = async ({ sizes, folder }) => {
  const { latents, d, m } = sizes;
  const [a, b] = ["a", "b"].map((name) => {
    const rng = createRng(name);
    const rows = Float32Array.from({ length: latents * d }, () => rng.normal());
    writeRaw(folder, name, rows);
    return rows;
  });
  return async (count) => {
    let losses: number[] = [];
    for (let i = 0; i < count; i++) {
      const { value, index } = await bestMatches(a, b, d, { top: m, measure: "cosine" });
      losses = [sum(value) / latents, sum(index) / index.length];
    }
    return { losses };
  };
};

function sum(values: ArrayLike<number>): number {
  let total = 0;
  for (let i = 0; i < values.length; i++) total += values[i];
  return total;
}

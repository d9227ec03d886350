// Whether the native addon is built here; where it isn't, what was said.
import { useBackend } from "../../src/engine/index.ts";

/** Why the native backend can't be had, or undefined where it can. Leaves it active. */
export async function missingNative(): Promise<string | undefined> {
  try {
    await useBackend("native");
    return undefined;
  } catch (error) {
    return `native can't be had: ${(error as { got?: string }).got}`;
  }
}

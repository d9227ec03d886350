// The backend that the tests compute on: SAE_CARRY_TEST_BACKEND names it, wasm where nothing is said. Tests that mean one backend in particular name it themselves.
import { type BackendName, backendNames } from "../../src/engine/index.ts";

/** The backend of this test run. */
export const testBackend: BackendName = named(process.env.SAE_CARRY_TEST_BACKEND ?? "wasm");

function named(name: string): BackendName {
  const found = backendNames.find((known) => known === name);
  if (found === undefined) {
    throw new Error(`SAE_CARRY_TEST_BACKEND is one of ${backendNames.join(", ")}, not ${name}`);
  }
  return found;
}

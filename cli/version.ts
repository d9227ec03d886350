/** @file This package's version, from the package.json above the source or the built files. */
import { existsSync, readFileSync } from "node:fs";

/** Such as `0.1.0`. */
export function packageVersion(): string {
  for (const up of ["../package.json", "../../package.json"]) {
    const file = new URL(up, import.meta.url);
    if (!existsSync(file)) continue;
    const { name, version } = JSON.parse(readFileSync(file, "utf8")) as Record<string, string>;
    if (name === "sae-carry") return version;
  }
  throw new Error("internal: package.json is missing beside the program");
}

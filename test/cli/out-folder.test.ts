// A result that is a folder appears whole or not at all, and --force replaces former results only.
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { claimFolder, writeFolder } from "../../cli/out-folder.ts";

let folder = "";
let out = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "out-"));
  out = join(folder, "result");
});
afterEach(() => rmSync(folder, { recursive: true }));

const marker = "map.json";
const write = (text: string) => (dir: string) => writeFileSync(join(dir, marker), text);

test("a new folder, with its parents, and an empty one are free", () => {
  expect(claimFolder({ out: join(folder, "a", "b"), force: false, marker })).toContain("b");
  mkdirSync(out);
  expect(claimFolder({ out, force: false, marker })).toBe(out);
});

test("a former result is replaced under --force alone, other files never", async () => {
  await writeFolder(out, write("1"));
  expect(() => claimFolder({ out, force: false, marker })).toThrow(/--force replaces it/);
  expect(claimFolder({ out, force: true, marker })).toBe(out);
  await writeFolder(out, write("2"));
  expect(readFileSync(join(out, marker), "utf8")).toBe("2");
  rmSync(join(out, marker));
  writeFileSync(join(out, "thesis.doc"), "");
  expect(() => claimFolder({ out, force: true, marker })).toThrow(/other files/);
  writeFileSync(join(folder, "file"), "");
  expect(() => claimFolder({ out: join(folder, "file"), force: true, marker })).toThrow(
    /other files/,
  );
});

test("a failure while writing leaves what was there and no trace", async () => {
  await writeFolder(out, write("1"));
  const failing = writeFolder(out, (dir) => {
    write("half")(dir);
    throw new Error("the power went");
  });
  await expect(failing).rejects.toThrow("the power went");
  expect(readFileSync(join(out, marker), "utf8")).toBe("1");
  expect(readdirSync(folder)).toEqual(["result"]);
});

test("no --out is an error that says so", () => {
  expect(() => claimFolder({ out: undefined, force: false, marker })).toThrow(/--out/);
});

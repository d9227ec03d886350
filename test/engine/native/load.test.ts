// Where the addon is looked for, what is refused, the platform package, and an install without cargo.
import { spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { expect, test } from "vitest";
import {
  type AddonPlaces,
  addonInterface,
  addonPlaces,
  loadAddon,
  platformTriple,
} from "../../../src/engine/native/load.ts";
import { temporaryFolder } from "../../support/folder.ts";
import { missingNative } from "../../support/native.ts";
import { testWith } from "../../support/require.ts";
import { root } from "../../support/source-files.ts";

const native = testWith("native", await missingNative());
const folder = temporaryFolder();

/** Places in a folder of its own, as a project would have it installed. */
function placesIn(name: string, built: readonly string[] = []): AddonPlaces {
  const place = folder(name);
  mkdirSync(place, { recursive: true });
  const { packaged } = addonPlaces();
  return { packaged, from: pathToFileURL(join(place, "index.js")).href, built };
}

/** A module in the addon's place whose interface is `has`. */
function writeModule(path: string, has: string): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, `exports.interfaceVersion = ${has}; exports.place = __filename;`);
}

function install(places: AddonPlaces, has: string): string {
  const path = new URL(`node_modules/${places.packaged}/index.js`, places.from);
  writeModule(path.pathname, has);
  return path.pathname;
}

test("without an addon, that is said", () => {
  expect(() => loadAddon(placesIn("none"))).toThrow("the native addon is not built");
});

test("the platform's package comes before the built file", () => {
  const file = folder("built-addon.cjs");
  writeModule(file, `() => ${addonInterface}`);
  expect(loadAddon(placesIn("file-only", [file]))).toMatchObject({ place: file });
  const places = placesIn("both", [file]);
  const place = install(places, `() => ${addonInterface}`);
  expect(loadAddon(places)).toMatchObject({ place });
});

test("an addon of another interface, or of none, is refused by name and the next one is tried", () => {
  const file = folder("next.cjs");
  writeModule(file, `() => ${addonInterface}`);
  for (const [name, has, said] of [
    ["older", `() => ${addonInterface - 1}`, String(addonInterface - 1)],
    ["nameless", "undefined", "none"],
  ]) {
    const places = placesIn(name);
    install(places, has);
    expect(() => loadAddon(places)).toThrow(
      `the native addon ${places.packaged} has interface ${said}, this version needs ${addonInterface}`,
    );
    expect(loadAddon({ ...places, built: [file] })).toMatchObject({ place: file });
  }
});

test("a file that is no addon is an error with its reason, not a crash", () => {
  const file = folder("broken.node");
  writeFileSync(file, "not a library");
  expect(() => loadAddon(placesIn("broken", [file]))).toThrow(/broken\.node/);
});

native("the built addon has the interface that the sources ask for", async () => {
  const { built } = addonPlaces();
  expect(loadAddon(placesIn("own", built)).setThreads(0)).toBeGreaterThanOrEqual(1);
});

/** A program's exit code and what it said. */
function run(
  program: string,
  args: readonly string[],
  cwd: string,
  env = process.env,
): { code: number | null; said: string } {
  const { status, stdout, stderr, error } = spawnSync(program, args, {
    cwd,
    env,
    encoding: "utf8",
  });
  if (error) throw error;
  return { code: status, said: stdout + stderr };
}

native("the platform package is made, packed, installed and loaded", async () => {
  const packages = folder("packages");
  expect(run(process.execPath, ["native/package.mjs", packages], root)).toMatchObject({ code: 0 });
  const made = join(packages, platformTriple());
  const manifest = JSON.parse(readFileSync(join(made, "package.json"), "utf8"));
  expect(manifest).toMatchObject({
    name: `sae-carry-native-${platformTriple()}`,
    version: JSON.parse(readFileSync(join(root, "package.json"), "utf8")).version,
    os: [process.platform],
    cpu: [process.arch],
  });
  const places = placesIn("project");
  const project = folder("project");
  writeFileSync(join(project, "package.json"), '{"private":true}');
  const packed = run("npm", ["pack", "--silent", "--pack-destination", packages], made);
  const tarball = join(packages, packed.said.trim().split("\n").at(-1)!);
  const args = ["install", "--offline", "--no-audit", "--no-fund", "--loglevel=error", tarball];
  expect(run("npm", args, project)).toMatchObject({ code: 0 });
  expect(loadAddon(places).setThreads(0)).toBeGreaterThanOrEqual(1);
  // with that package there, an install has nothing to build
  mkdirSync(join(project, "native"));
  for (const name of ["build.mjs", "platform.mjs"]) {
    copyFileSync(join(root, "native", name), join(project, "native", name));
  }
  const built = run(process.execPath, ["native/build.mjs", "--optional"], project, { PATH: "" });
  expect(built).toEqual({ code: 0, said: `the native addon comes from ${manifest.name}\n` });
});

test("an install without cargo goes on and says how to build later; asked to build, it fails", () => {
  const without = { PATH: folder("no-programs") };
  const go = (...args: string[]): { code: number | null; said: string } =>
    run(process.execPath, ["native/build.mjs", ...args], root, without);
  const said =
    "The native addon was not built: there is no cargo. sae-carry computes on WebAssembly without it; `npm run build:native` in its folder builds it later.\n";
  expect(go("--optional")).toEqual({ code: 0, said });
  expect(go()).toEqual({ code: 1, said });
});

// Makes the npm package that carries the addon for machines like this one, from the built addon:
//   node native/package.mjs FOLDER
// writes FOLDER/<platform>-<arch>[-<C library>]/ with package.json and the addon, ready for npm pack.
import { copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { addonFile, addonPackage, machines, triple } from "./platform.mjs";

const folder = dirname(fileURLToPath(import.meta.url));
const { version, license, engines } = JSON.parse(
  readFileSync(join(folder, "..", "package.json"), "utf8"),
);
const [target] = process.argv.slice(2);
if (target === undefined) {
  console.error("node native/package.mjs FOLDER: the folder to write the package under");
  process.exit(2);
}
if (!existsSync(join(folder, addonFile))) {
  console.error(`${addonFile} is not built: npm run build:native`);
  process.exit(1);
}
const place = join(target, triple);
mkdirSync(place, { recursive: true });
const manifest = {
  name: addonPackage,
  version,
  description: `The native addon of sae-carry for ${triple}.`,
  license,
  engines,
  ...machines,
  main: addonFile,
  files: [addonFile],
};
writeFileSync(join(place, "package.json"), `${JSON.stringify(manifest, null, 2)}\n`);
copyFileSync(join(folder, addonFile), join(place, addonFile));
copyFileSync(join(folder, "..", "LICENSE"), join(place, "LICENSE"));
console.log(place);

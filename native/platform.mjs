// Names of this machine's addon by napi-rs's convention: <platform>-<arch>, with the C library where a
// platform has several. src/engine/native/load.ts looks for the same names.

const libraries = { linux: isMusl() ? "musl" : "gnu", win32: "msvc" };
const library = libraries[process.platform];

/** Such as linux-x64-gnu, darwin-arm64, win32-x64-msvc. */
export const triple = [process.platform, process.arch, library]
  .filter((part) => part !== undefined)
  .join("-");

/** The addon's file. */
export const addonFile = `sae-carry.${triple}.node`;

/** The package that carries the addon built for this kind of machine. */
export const addonPackage = `sae-carry-native-${triple}`;

/** What package.json says of the machines that a package is for. */
export const machines = {
  os: [process.platform],
  cpu: [process.arch],
  ...(process.platform === "linux" && { libc: [library === "gnu" ? "glibc" : "musl"] }),
};

function isMusl() {
  return process.report.getReport().header.glibcVersionRuntime === undefined;
}

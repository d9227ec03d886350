// Builds the native part of @tensorflow/tfjs-node from its npm source, against the libtensorflow that the
// Python package of TensorFlow carries: a current one, and without the download that the npm package does
// when it is installed. Run in the folder whose node_modules it is for; nothing is written into package.json.
//   node tensorflow-node.mjs                    the CPU's: PyPI's tensorflow-cpu, into a cache folder
//   node tensorflow-node.mjs --gpu              @tensorflow/tfjs-node-gpu and tensorflow[and-cuda]: gigabytes
//   node tensorflow-node.mjs --tensorflow DIR   an installed package (the folder of tensorflow/__init__.py)
// Needs Linux, g++ (or CXX), and python3 with pip unless DIR is given. SAE_CARRY_TENSORFLOW_HOME is the cache.
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { homedir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { parseArgs } from "node:util";

const tensorflowVersion = "2.21.0";
const bindingVersion = "4.22.0";
const headersVersion = "1.9.0";

const { values: flags } = parseArgs({
  options: {
    gpu: { type: "boolean", default: false },
    tensorflow: { type: "string" },
  },
});
if (process.platform !== "linux") throw new Error("only for Linux");
const packageName = `@tensorflow/tfjs-node${flags.gpu ? "-gpu" : ""}`;
const cache =
  process.env.SAE_CARRY_TENSORFLOW_HOME ??
  join(process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache"), "sae-carry", "tensorflow");

function run(program, ...args) {
  // what they print is progress; it goes to stderr
  execFileSync(program, args, { stdio: ["ignore", 2, 2] });
}

/** A folder of the cache that is whole: made under another name, and renamed when `make` is done. */
function cached(name, make) {
  const folder = join(cache, name);
  if (existsSync(folder)) return folder;
  const begun = `${folder}.${process.pid}`;
  mkdirSync(begun, { recursive: true });
  try {
    make(begun);
    renameSync(begun, folder);
  } finally {
    rmSync(begun, { recursive: true, force: true });
  }
  return folder;
}

/** The Python package's folder: libraries in it, headers in its include/. */
function tensorflowFolder() {
  if (flags.tensorflow !== undefined) return resolve(flags.tensorflow);
  const pip = ["-m", "pip", "--quiet", "--disable-pip-version-check", "install", "--no-compile"];
  if (process.getuid() === 0) pip.push("--root-user-action=ignore");
  if (flags.gpu) {
    // CUDA's libraries are packages too, found from where tensorflow's lie
    const place = cached(`gpu-${tensorflowVersion}`, (folder) =>
      run("python3", ...pip, "--target", folder, `tensorflow[and-cuda]==${tensorflowVersion}`),
    );
    return join(place, "tensorflow");
  }
  const machine = { x64: "x86_64", arm64: "aarch64" }[process.arch];
  const place = cached(`cpu-${tensorflowVersion}`, (folder) =>
    run(
      "python3",
      ...pip,
      ...["--target", folder, "--no-deps", "--only-binary=:all:"],
      // whichever Python is here: the libraries are the same for all
      ...["--python-version", "3.11", "--platform", `manylinux_2_27_${machine}`],
      `tensorflow-cpu==${tensorflowVersion}`,
    ),
  );
  return join(place, "tensorflow");
}

/** The npm package's folder, seen from here; put there without its own install script where it is missing. */
function packageFolder() {
  const here = createRequire(join(process.cwd(), "package.json"));
  const find = () => dirname(here.resolve(`${packageName}/package.json`));
  try {
    return find();
  } catch {
    const wanted = `${packageName}@${bindingVersion}`;
    run("npm", "install", "--no-save", "--ignore-scripts", "--no-audit", "--no-fund", wanted);
    return find();
  }
}

const tensorflow = tensorflowFolder();
const headers = cached(`node-api-headers-${headersVersion}`, (folder) =>
  run(
    "npm",
    ...["install", "--prefix", folder, "--ignore-scripts", "--no-audit", "--no-fund", "--silent"],
    `node-api-headers@${headersVersion}`,
  ),
);
const folder = packageFolder();
const manifest = join(folder, "package.json");
// the file that the package will look for, which its name for Node's N-API version is part of
const binding = createRequire(manifest)("@mapbox/node-pre-gyp").find(manifest);
const napiVersion = /napi-v(\d+)/.exec(binding)?.[1];
if (napiVersion === undefined) throw new Error(`unexpected place for the binding: ${binding}`);
mkdirSync(dirname(binding), { recursive: true });
const sources = readdirSync(join(folder, "binding")).filter((name) => name.endsWith(".cc"));
run(
  process.env.CXX ?? "g++",
  ...["-std=c++17", "-O2", "-fPIC", "-shared", `-DNAPI_VERSION=${napiVersion}`],
  ...["-I", join(tensorflow, "include")],
  ...["-I", join(headers, "node_modules", "node-api-headers", "include")],
  ...sources.map((name) => join(folder, "binding", name)),
  ...["-o", `${binding}.new`, `-L${tensorflow}`, `-Wl,-rpath,${tensorflow}`],
  ...["-l:libtensorflow_cc.so.2", "-l:libtensorflow_framework.so.2"],
);
renameSync(`${binding}.new`, binding); // a running process keeps the file that it has loaded
process.env.TF_CPP_MIN_LOG_LEVEL ??= "2"; // TensorFlow speaks of its processor when it is loaded
const { TF_Version } = createRequire(manifest)(binding);
console.log(`${packageName} has TensorFlow ${TF_Version} (${binding})`);

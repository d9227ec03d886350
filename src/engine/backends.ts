/**
 * The backends that numbers can be computed on, and how each is found and brought up. One table
 * entry a backend; `auto` takes the first that works, in the order of the table. The tensorflow
 * packages are optional peers of the user's own installation, `webgpu` is an optional dependency,
 * `wasm` is always there. `native` is this project's own addon; where it isn't built it says so.
 */
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { availableParallelism } from "node:os";
import { relative } from "node:path";
import { fileURLToPath } from "node:url";
import { UsageError } from "../io/errors.ts";
import { plainKernels, provideKernels } from "./host/kernels.ts";
import { bringNative, setNativeThreads } from "./native.ts";
import { tf } from "./tf.ts";

/** Names that `--backend` takes besides `auto`. */
export type BackendName = "tensorflow-gpu" | "native" | "tensorflow" | "webgpu" | "wasm" | "cpu";

/** What a look at one backend found. */
export interface BackendFinding {
  readonly name: BackendName;
  readonly available: boolean;
  /** Why it is or isn't available, in words. */
  readonly reason: string;
  /** What to do to get it; null where nothing is needed. */
  readonly advice: string | null;
}

/** The backend now active. */
export interface BackendChoice {
  readonly name: BackendName;
  readonly reason: string;
  /** Package versions that decide the numbers. */
  readonly versions: Record<string, string>;
}

interface Backend {
  readonly name: BackendName;
  /** Whether `auto` may take it. */
  readonly automatic: boolean;
  /** It computes on one thread, whatever it is asked for. */
  readonly singleThreaded: boolean;
  /** Worker processes that a run uses at most, unless it is told. */
  readonly mostWorkers: number;
  /** How to get it; null for what is always there. */
  readonly advice: string | null;
  /**
   * Registers it with TensorFlow.js and resolves with TensorFlow.js's own name for it, or throws with
   * the reason.
   */
  bring(wish: Wish): Promise<string>;
}

/** How a backend is asked for. */
interface Wish {
  /** For a backend that takes a number of threads: `native`. */
  readonly threads: number | undefined;
  /** By its name, not by `auto`. */
  readonly named: boolean;
}

/**
 * Where this is set, for tests on a machine without a GPU, `--backend webgpu` takes a software adapter.
 * `auto` never does: it is slower than every other backend.
 */
const allowSoftwareGpu = "SAE_CARRY_WEBGPU_SOFTWARE";
let hasSoftwareGpu = false;

const backends: readonly Backend[] = [
  {
    name: "tensorflow-gpu",
    automatic: true,
    singleThreaded: false,
    mostWorkers: 1,
    get advice() {
      return `an NVIDIA GPU on Linux; npm install @tensorflow/tfjs-node-gpu, or for a current CUDA ${command("scripts/tensorflow-node.mjs")} --gpu (docs/backends.md)`;
    },
    bring: () => bringTensorflow("@tensorflow/tfjs-node-gpu", true),
  },
  {
    name: "native",
    automatic: true,
    singleThreaded: false,
    mostWorkers: 4,
    get advice() {
      return `Rust 1.89 or newer with cargo (by rustup), then ${command("native/build.mjs")}`;
    },
    bring: ({ threads }) => bringNative(threads),
  },
  {
    name: "tensorflow",
    automatic: true,
    singleThreaded: false,
    mostWorkers: 1,
    get advice() {
      return `npm install @tensorflow/tfjs-node, or for a current TensorFlow ${command("scripts/tensorflow-node.mjs")} (docs/backends.md)`;
    },
    bring: () => bringTensorflow("@tensorflow/tfjs-node", false),
  },
  {
    name: "webgpu",
    automatic: true,
    singleThreaded: false,
    mostWorkers: 1,
    advice:
      "a GPU with a Vulkan, Metal or D3D12 driver; npm install webgpu @tensorflow/tfjs-backend-webgpu",
    bring: bringWebGpu,
  },
  {
    name: "wasm",
    automatic: true,
    singleThreaded: true,
    mostWorkers: 8,
    advice: null,
    bring: async () => {
      await import("@tensorflow/tfjs-backend-wasm");
      return "wasm";
    },
  },
  {
    name: "cpu",
    automatic: false,
    singleThreaded: true,
    mostWorkers: 8,
    advice: null,
    bring: async () => "cpu",
  },
];

/** All names that `--backend` takes, `auto` apart. */
export const backendNames: readonly BackendName[] = backends.map((backend) => backend.name);

/**
 * Makes `choice` the active backend; `auto` takes the first of the table that works. `threads` is passed
 * on to it; `reason` says so where it makes no difference.
 * Errors: UsageError when a named backend can't be had, with what to do about it.
 */
export async function useBackend(
  choice: BackendName | "auto",
  options: { readonly threads?: number } = {},
): Promise<BackendChoice> {
  if (options.threads !== undefined && !(options.threads >= 1)) {
    throw new UsageError({
      code: "bad-threads",
      where: "--threads",
      expected: "a whole number of at least 1",
      got: String(options.threads),
    });
  }
  const failures: string[] = [];
  for (const backend of backends) {
    if (choice === "auto" ? !backend.automatic : backend.name !== choice) continue;
    try {
      await activate(backend, { threads: options.threads, named: choice !== "auto" });
      const reasons = choice === "auto" ? ["first that works", ...failures] : ["asked for"];
      if (backend.singleThreaded && (options.threads ?? 1) > 1) {
        reasons.push("it has one thread, whatever --threads says");
      }
      return { name: backend.name, reason: reasons.join("; "), versions: versions() };
    } catch (cause) {
      if (choice !== "auto") {
        throw new UsageError({
          code: "backend-unavailable",
          where: `--backend ${choice}`,
          expected: "a backend that works on this machine",
          got: message(cause),
          hint: backend.advice ?? "use --backend auto; sae-carry doctor lists what there is",
          cause,
        });
      }
      failures.push(`${backend.name}: ${message(cause)}`);
    }
  }
  throw new UsageError({
    code: "unknown-backend",
    where: "--backend",
    expected: ["auto", ...backendNames].join(", "),
    got: String(choice),
  });
}

/**
 * Runs `body` where numbers can be read synchronously: on the active backend, or on `wasm` for as long as
 * it takes where that is `webgpu`. The body places tensors of its own and disposes them.
 */
export async function withSynchronousReads<T>(body: () => Promise<T>): Promise<T> {
  const active = tf.getBackend();
  if (active !== "webgpu") return body();
  await useBackend("wasm");
  try {
    return await body();
  } finally {
    await tf.setBackend(active);
  }
}

/** Tries every backend and says what was found; leaves the last working automatic choice untouched by calling `useBackend` after it. */
export async function surveyBackends(): Promise<BackendFinding[]> {
  const findings: BackendFinding[] = [];
  for (const backend of backends) {
    try {
      await activate(backend, { threads: undefined, named: false });
      const reason = backend.singleThreaded
        ? "works, on one thread (a run uses the cores through its workers)"
        : "works";
      findings.push({ name: backend.name, available: true, reason, advice: null });
    } catch (cause) {
      findings.push({
        name: backend.name,
        available: false,
        reason: message(cause),
        advice: backend.advice,
      });
    }
  }
  return findings;
}

/**
 * How many worker processes a run should use on `backend`. Small models keep one core busy at best, so that
 * backends that compute on the processor share the cores by processes.
 */
export function defaultWorkers(name: BackendName): number {
  const most = backends.find((backend) => backend.name === name)?.mostWorkers ?? 1;
  return Math.min(availableParallelism(), most);
}

/**
 * Gives the active backend this many threads, where it takes a number of them (`native`); the numbers it
 * computes don't depend on it.
 */
export function setThreads(threads: number): void {
  if (tf.getBackend() === "native") setNativeThreads(threads);
}

async function activate(backend: Backend, wish: Wish): Promise<void> {
  const name = await backend.bring(wish);
  if (!(await tf.setBackend(name))) throw new Error(`TensorFlow.js could not start "${name}"`);
  await tf.ready();
  const probe = tf.tidy(() => tf.add(tf.tensor1d([1]), 1));
  const [two] = await probe.data();
  probe.dispose();
  if (two !== 2) throw new Error(`its first sum came out as ${two}`);
}

/** The command that runs a script of this package, from where the user is. */
function command(path: string): string {
  // seen from src/ and from dist/src/
  const places = ["../../", "../../../"].map((up) =>
    fileURLToPath(new URL(`${up}${path}`, import.meta.url)),
  );
  const file = places.find((place) => existsSync(place)) ?? places[0];
  const near = relative("", file);
  return `node ${near.startsWith("..") ? file : near}`;
}

async function bringTensorflow(packageName: string, wantGpu: boolean): Promise<string> {
  // it speaks of its processor when it is loaded
  process.env.TF_CPP_MIN_LOG_LEVEL ??= "2";
  // tfjs-node 4.22 calls two functions that are deprecated in Node, and gone from Node 23 on
  Object.assign(createRequire(import.meta.url)("node:util") as object, {
    isNullOrUndefined: (value: unknown) => value === null || value === undefined,
    isArray: Array.isArray,
  });
  provideKernels("tensorflow", { ...plainKernels, takesTransposed: true });
  const binding = await importPeer(packageName);
  const isGpu = (binding as { backend?: () => { isUsingGpuDevice?: boolean } }).backend?.();
  if (wantGpu && isGpu?.isUsingGpuDevice !== true) {
    throw new Error("TensorFlow sees no CUDA device");
  }
  return "tensorflow";
}

async function bringWebGpu({ named }: Wish): Promise<string> {
  const software = named && process.env[allowSoftwareGpu] === "1";
  if (hasSoftwareGpu && !software) throw new Error("the only adapter is software");
  if (tf.findBackendFactory("webgpu")) return "webgpu";
  if (!software && !hasGpuDevice()) throw new Error("no GPU device was found");
  const dawn = (await importPeer("webgpu")) as {
    create(flags: string[]): object;
    globals: Record<string, unknown>;
  };
  Object.assign(globalThis, dawn.globals);
  const gpu = dawn.create([]) as {
    requestAdapter(options: object): Promise<WebGpuAdapter | null>;
  };
  const adapter = await gpu.requestAdapter(
    software ? { forceFallbackAdapter: true } : { powerPreference: "high-performance" },
  );
  if (!adapter) throw new Error("no GPU adapter was found");
  const info = adapter.info;
  const isSoftware =
    info.isFallbackAdapter === true ||
    /swiftshader|llvmpipe|lavapipe/i.test(
      `${info.device} ${info.description} ${info.architecture}`,
    );
  if (isSoftware && !software) {
    throw new Error(`the only adapter is software (${info.description || info.device})`);
  }
  Object.defineProperty(globalThis, "navigator", { value: { gpu }, configurable: true });
  const { WebGPUBackend } = (await importPeer("@tensorflow/tfjs-backend-webgpu")) as {
    WebGPUBackend: new (device: object, info: object) => tf.KernelBackend;
  };
  const limits = adapter.limits;
  const device = await adapter.requestDevice({
    requiredLimits: {
      maxComputeWorkgroupStorageSize: limits.maxComputeWorkgroupStorageSize,
      maxComputeWorkgroupsPerDimension: limits.maxComputeWorkgroupsPerDimension,
      maxStorageBufferBindingSize: limits.maxStorageBufferBindingSize,
      maxBufferSize: limits.maxBufferSize,
      maxComputeWorkgroupSizeX: limits.maxComputeWorkgroupSizeX,
      maxComputeInvocationsPerWorkgroup: limits.maxComputeInvocationsPerWorkgroup,
    },
  });
  tf.registerBackend("webgpu", () => new WebGPUBackend(device, info));
  hasSoftwareGpu = isSoftware;
  return "webgpu";
}

/** Linux shows GPUs as devices; a look spares loading Dawn, which writes to stderr where there is none. */
function hasGpuDevice(): boolean {
  return (
    process.platform !== "linux" ||
    ["/dev/dri", "/dev/nvidia0", "/dev/dxg"].some((path) => existsSync(path))
  );
}

interface WebGpuAdapter {
  readonly limits: Record<string, number>;
  readonly info: {
    readonly device: string;
    readonly description: string;
    readonly architecture: string;
    readonly isFallbackAdapter?: boolean;
  };
  requestDevice(descriptor: object): Promise<object>;
}

/** Imports a package that may not be installed, from a name the compiler can't resolve. */
async function importPeer(packageName: string): Promise<object> {
  try {
    return (await import(packageName)) as object;
  } catch (cause) {
    const code = (cause as { code?: string }).code;
    if (code === "ERR_MODULE_NOT_FOUND")
      throw new Error(`${packageName} is not installed`, { cause });
    throw new Error(`${packageName} could not be loaded: ${message(cause)}`, { cause });
  }
}

function versions(): Record<string, string> {
  const { binding } = tf.backend() as { binding?: { TF_Version: string } };
  return {
    node: process.versions.node,
    tfjs: tf.version.tfjs,
    ...(binding && { tensorflow: binding.TF_Version }),
  };
}

function message(cause: unknown): string {
  return cause instanceof Error ? cause.message.split("\n")[0] : String(cause);
}

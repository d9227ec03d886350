/** How the processes of the two kinds of sides are started: the same number of threads for every library in them. */
import { existsSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { Child } from "./child.ts";

// this file runs as dist-bench/bench/harness/sides.js; the Python sources stay where they are
const compiled = dirname(fileURLToPath(import.meta.url));
const sources = join(compiled, "..", "..", "..", "bench");

/** The peers' interpreter that scripts/bench-env.sh sets up. Errors: it hasn't been. */
export function peersPython(): string {
  const cache = process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache");
  const home = process.env.SAE_CARRY_BENCH_HOME ?? join(cache, "sae-carry", "peers");
  const python = join(home, "bin", "python");
  if (!existsSync(python)) {
    throw new Error("the peers are not installed: bash scripts/bench-env.sh, or use --no-peers");
  }
  return python;
}

/** A process of ours. */
export function startNode(label: string, threads: number): Child {
  return new Child(
    label,
    process.execPath,
    [join(compiled, "..", "ours", "worker.js")],
    environment(threads),
  );
}

/** A process of a peer. */
export function startPython(label: string, threads: number, python: string): Child {
  return new Child(label, python, ["-u", join(sources, "peers", "worker.py")], {
    ...environment(threads),
    CUDA_VISIBLE_DEVICES: "", // the CPU is what is compared
    HF_HUB_OFFLINE: "1",
    WANDB_MODE: "disabled",
    SPARSIFY_DISABLE_TRITON: "1", // its kernels are for GPUs
    PYTHONDONTWRITEBYTECODE: "1",
    TORCHINDUCTOR_COMPILE_THREADS: "1", // otherwise a pool of compilers stays
    TORCHINDUCTOR_CACHE_DIR: join(dirname(dirname(python)), "inductor"),
  });
}

function environment(threads: number): NodeJS.ProcessEnv {
  const n = String(threads);
  return { ...process.env, OMP_NUM_THREADS: n, MKL_NUM_THREADS: n, OPENBLAS_NUM_THREADS: n };
}

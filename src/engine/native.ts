/**
 * The native backend: TensorFlow.js's `cpu` backend with this project's Rust addon under its hot kernels and
 * under the fused operations, on every core. Arrays of disposed tensors are used again: large ones left
 * to the garbage collector pile up. The addon is a package, or built by `npm run build:native` (see native/).
 */
import { provideKernels } from "./host/kernels.ts";
import { type Addon, nativeKernels } from "./native/addon.ts";
import { NativeBackend } from "./native/backend.ts";
import { addonPlaces, loadAddon } from "./native/load.ts";
import { provideSaeAddon } from "./native/sae-addon.ts";
import { registerNativeKernels } from "./native/tf-kernels.ts";
import { tf } from "./tf.ts";

let addon: Addon | undefined;

/**
 * Registers the backend (once), sizes its pool (undefined: every core) and resolves with its name.
 * Errors: the addon isn't there, can't be loaded, or has another interface.
 */
export async function bringNative(threads: number | undefined): Promise<string> {
  if (!addon) {
    const loaded = loadAddon(addonPlaces());
    tf.registerBackend("native", () => new NativeBackend(), 0);
    tf.copyRegisteredKernels("cpu", "native");
    registerNativeKernels(loaded);
    provideKernels("native", nativeKernels(loaded));
    provideSaeAddon(loaded);
    addon = loaded;
  }
  addon.setThreads(threads ?? 0);
  return "native";
}

/** Makes the pool one of `threads` threads. Errors: internal where the backend was never brought up. */
export function setNativeThreads(threads: number): void {
  if (!addon) throw new Error("internal: the native backend is not there");
  addon.setThreads(threads);
}

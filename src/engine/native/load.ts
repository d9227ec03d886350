/**
 * Finds and loads the Rust addon: from the package for this kind of machine (napi-rs's convention), where
 * it is installed, else the one that was built in native/. An addon of another interface is refused: its
 * functions would be called with the wrong arguments.
 */
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import type { Addon } from "./addon.ts";

/**
 * The interface that this code expects, as native/src/lib.rs states it. Both go up together when what
 * was released can't be called as before.
 */
export const addonInterface = 7;

/** This machine's kind: `<platform>-<arch>`, with the C library where a platform has several. */
export function platformTriple(): string {
  const { platform, arch } = process;
  if (platform === "win32") return `${platform}-${arch}-msvc`;
  if (platform !== "linux") return `${platform}-${arch}`;
  const { header } = process.report.getReport() as unknown as {
    header: { glibcVersionRuntime?: string };
  };
  return `${platform}-${arch}-${header.glibcVersionRuntime === undefined ? "musl" : "gnu"}`;
}

/** Places that an addon may lie in, tried in this order. */
export interface AddonPlaces {
  /** A package, as Node resolves it for the module at `from` (a URL). */
  readonly packaged: string;
  readonly from: string;
  /** Files. */
  readonly built: readonly string[];
}

/** Where this installation's addon may lie; the files as seen from the sources and from dist/. */
export function addonPlaces(): AddonPlaces {
  const triple = platformTriple();
  const folders = ["../../../native/", "../../../../native/"];
  return {
    packaged: `sae-carry-native-${triple}`,
    from: import.meta.url,
    built: folders.map((folder) =>
      fileURLToPath(new URL(`${folder}sae-carry.${triple}.node`, import.meta.url)),
    ),
  };
}

/**
 * Loads the first addon that there is and that can be used. Errors: none is there, or what is there can't be
 * loaded or has another interface; the message says which and why.
 */
export function loadAddon({ packaged, from, built }: AddonPlaces): Addon {
  const require = createRequire(from);
  const found = [packaged]
    .filter((name) => isThere(require, name))
    .concat(built.filter(existsSync));
  const refused: string[] = [];
  let cause: unknown;
  for (const place of found) {
    try {
      return checked(require(place), place);
    } catch (error) {
      cause ??= error;
      refused.push(error instanceof Error ? error.message.split("\n")[0] : String(error));
    }
  }
  throw new Error(refused.length > 0 ? refused.join("; ") : "the native addon is not built", {
    cause,
  });
}

function isThere(require: NodeJS.Require, name: string): boolean {
  try {
    require.resolve(name);
    return true;
  } catch (error) {
    if ((error as { code?: string }).code === "MODULE_NOT_FOUND") return false;
    throw error;
  }
}

function checked(exports: unknown, place: string): Addon {
  const addon = exports as Addon & { interfaceVersion?: () => number };
  const has = typeof addon.interfaceVersion === "function" ? addon.interfaceVersion() : "none";
  if (has !== addonInterface) {
    throw new Error(
      `the native addon ${place} has interface ${has}, this version needs ${addonInterface}: build it again (npm run build:native) or install the package of this version`,
    );
  }
  return addon;
}

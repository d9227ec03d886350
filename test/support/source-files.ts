// The project's sources as text, and what they import: for tests about the code itself.
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, posix, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";

/** The repository. */
export const root: string = join(dirname(fileURLToPath(import.meta.url)), "..", "..");

/** Folders that hold sources, the lowest layer first. */
export const layers = ["src", "sae", "circuits", "reports", "cli"] as const;

/** A source file, its path relative to the repository with `/`. */
export interface SourceFile {
  readonly path: string;
  readonly text: string;
  readonly imports: readonly Import[];
}

/** One import or re-export of a file of this project. */
export interface Import {
  /** Path relative to the repository. */
  readonly path: string;
  /** Nothing is loaded at run time. */
  readonly typeOnly: boolean;
  /** Loaded when it is called for. */
  readonly dynamic: boolean;
}

/** Every .ts file of the layers. */
export function sourceFiles(): SourceFile[] {
  return layers.flatMap((layer) =>
    readdirSync(join(root, layer), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && entry.name.endsWith(".ts"))
      .map((entry) => relative(root, join(entry.parentPath, entry.name)).split(sep).join("/"))
      .sort()
      .map(readSource),
  );
}

/** One source file. */
export function readSource(path: string): SourceFile {
  const text = readFileSync(join(root, path), "utf8");
  const code = text.replace(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, "");
  const imports: Import[] = [];
  const at = (specifier: string): string => posix.join(posix.dirname(path), specifier);
  for (const [, clause, specifier] of code.matchAll(
    /^(?:import|export)\s+([^;"']*?)\s*from\s+"(\.[^"]+)"/gm,
  )) {
    imports.push({ path: at(specifier), typeOnly: isTypeOnly(clause), dynamic: false });
  }
  for (const [, specifier] of code.matchAll(/^import\s+"(\.[^"]+)"/gm)) {
    imports.push({ path: at(specifier), typeOnly: false, dynamic: false });
  }
  for (const [, specifier] of code.matchAll(/\bimport\(\s*"(\.[^"]+)"\s*\)/g)) {
    imports.push({ path: at(specifier), typeOnly: false, dynamic: true });
  }
  return { path, text, imports };
}

function isTypeOnly(clause: string): boolean {
  if (/^type\b/.test(clause)) return true;
  const names = /^\{([^}]*)\}$/.exec(clause)?.[1];
  if (names === undefined) return false;
  return names
    .split(",")
    .map((name) => name.trim())
    .filter(Boolean)
    .every((name) => name.startsWith("type "));
}

// Runs a command line in this process and keeps what it prints.
import { main } from "../../cli/main.ts";
import type { Output } from "../../cli/output.ts";

/** How a command ended and what it printed. */
export interface Ending {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** An output that collects. */
export function collectingOutput(
  interactive = false,
  columns = 80,
): Output & { readonly printed: { out: string; err: string } } {
  const printed = { out: "", err: "" };
  return {
    printed,
    interactive,
    columns,
    out(text) {
      printed.out += text;
    },
    err(text) {
      printed.err += text;
    },
  };
}

/** Runs `sae-carry …args`. */
export async function runCommand(...args: readonly string[]): Promise<Ending> {
  const output = collectingOutput();
  const code = await main(args, output);
  return { code, ...output.printed };
}

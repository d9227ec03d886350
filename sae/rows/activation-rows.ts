/**
 * @file Activations of one hook as they are read for measuring: in order, again and again, each row with the token
 * that it belongs to. They come from a model and a text, or from an Arrow dump of any program.
 */
import { type TokenSet, tokenRows } from "../../src/data/index.ts";
import type { ActivationDump } from "../../src/io/index.ts";
import { hookWidth, type Model } from "../../src/models/index.ts";
import { keptActivations } from "../activations.ts";

/** Which token each of some rows belongs to. */
export interface RowKeys {
  readonly doc: Int32Array; // [n]
  /** Place in its document; −1 − p for a marker put in front of token p. */
  readonly pos: Int32Array; // [n]
  /** −1 where the source doesn't tell. */
  readonly tokenId: Int32Array; // [n]
}

/** Activations of one hook. Every call begins at the first row again. */
export interface ActivationRows {
  /** What errors name. */
  readonly where: string;
  readonly hook: string;
  /** Width of a row. */
  readonly dIn: number;
  /** The tokens alone, without the activations. */
  keys(): Iterable<RowKeys>;
  /** Row-major [n, dIn]; the blocks are not those of `keys`, the order of rows is. */
  values(): AsyncIterable<Float32Array>;
}

/** The rows of a dump at a hook. Errors: UsageError for a hook that it doesn't have, and while reading. */
export function dumpRows(dump: ActivationDump, hook: string): ActivationRows {
  const { width } = dump.hook(hook);
  return {
    where: dump.path,
    hook,
    dIn: width,
    *keys() {
      yield* dump.keys();
    },
    async *values() {
      for (const { activations } of dump.batches([hook])) {
        yield activations.get(hook) as Float32Array;
      }
    },
  };
}

/** What a model computes at a hook on the sequences of a set. `where` names the model. */
export function modelRows(
  model: Model,
  hook: string,
  set: TokenSet,
  where: string,
): ActivationRows {
  const dIn = hookWidth(model.config, hook);
  return {
    where,
    hook,
    dIn,
    *keys() {
      yield tokenRows(set, 0, set.nSeq);
    },
    async *values() {
      for await (const block of keptActivations(model, hook, set, { skip: 0 })) {
        const rows = (await block.data()) as Float32Array;
        block.dispose();
        yield rows;
      }
    },
  };
}

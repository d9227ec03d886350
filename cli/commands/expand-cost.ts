/**
 * @file What `expand` costs, from sizes alone: disk, memory, time. Memory follows what is held at a time; time is
 * numbers and operations over rates of two cores with the native backend, an order of magnitude.
 */
import { freemem } from "node:os";
import type { SizeInfo } from "../../src/expansion/index.ts";
import { type FloatDtype, floatBytes } from "../../src/io/index.ts";

/** Cost of a growth. */
export interface ExpandCost {
  /** Of the child's weights on disk. */
  readonly bytes: number;
  /** Memory at its peak. */
  readonly memory_bytes: number;
  readonly seconds: number;
}

/** What the cost depends on besides the sizes. */
export interface ExpandCostOptions {
  readonly dtype: FloatDtype;
  /** Bytes of the parent's largest tensor in f32. */
  readonly largestBytes: number;
  /** Whether parent and child are run to compare them, and on how many tokens; 0 = they aren't. */
  readonly measuredTokens: number;
  /** Both models are in memory while the child is made, as a method that learns needs. */
  readonly inMemory: boolean;
}

const processBytes = 250e6; // Node with a backend and the program
const numbersPerSecond = 150e6;
const flopsPerSecond = 50e9;

/** Works out the cost. */
export function expandCost(
  parent: SizeInfo,
  child: SizeInfo,
  { dtype, largestBytes, measuredTokens, inMemory }: ExpandCostOptions,
): ExpandCost {
  const both = 4 * (parent.params + child.params);
  const maps = 8 * 4 * parent.d_model * child.d_model; // E and R of the stream and of the final norm
  const growing = 2 * largestBytes + (inMemory ? both : 0);
  // arrays that were let go are kept for later, up to 2 GiB
  const comparing = measuredTokens > 0 ? 1.5 * both + Math.min(2 ** 31, 2 * both) : 0;
  const flops = 2 * (parent.params + child.params) * measuredTokens;
  return {
    bytes: child.params * floatBytes(dtype),
    memory_bytes: Math.round(processBytes + maps + Math.max(growing, comparing)),
    seconds: child.params / numbersPerSecond + flops / flopsPerSecond,
  };
}

/** Bytes of memory that may still be taken. */
export function freeMemory(): number {
  return process.availableMemory?.() ?? freemem();
}

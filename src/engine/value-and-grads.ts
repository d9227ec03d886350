/**
 * Gradients of a scalar, by going backward over TensorFlow.js's own tape. Its `valueAndGrads` keeps whatever the
 * forward pass saved, and every gradient on the way, until the last one is there; this one lets go of both as soon as
 * nothing further needs them, so that a training step's memory falls while the gradients are made.
 */
import { tf } from "./tf.ts";

interface TapeNode {
  readonly inputs: Readonly<Record<string, tf.Tensor>>;
  readonly outputs: readonly tf.Tensor[];
  readonly saved: readonly tf.Tensor[];
  readonly gradient?: (dys: (tf.Tensor | null)[]) => Readonly<Record<string, () => tf.Tensor>>;
  readonly kernelName: string;
}

/** What the engine calls its tape; not in its types. */
interface TapeEngine {
  readonly state: { activeTape: TapeNode[] | null; gradientDepth: number };
  startTape(): void;
  endTape(): void;
  /** Takes the next id; they go up. */
  nextTensorId(): number;
}

/** The gradients that the walk under way has so far, by their tensors' ids. */
let underWay: Map<number, tf.Tensor> | undefined;
/** Those that a gradient function took over, to be let go of after it. */
let taken: tf.Tensor[] = [];

/**
 * For a gradient function that adds to numbers in place: takes over what the walk has of x's gradient so far, to answer
 * with its sum. Undefined where there is none, or where its numbers are another tensor's too.
 */
export function takeGradient(x: tf.Tensor): tf.Tensor | undefined {
  const known = underWay?.get(x.id);
  if (!known || tf.backend().refCount(known.dataId) > 1) return undefined;
  underWay?.delete(x.id);
  taken.push(known);
  return known;
}

/** f() and its gradients with respect to `xs`, in their order. The caller disposes all of them. Not for use inside itself. */
export function valueAndGrads(
  f: () => tf.Scalar,
  xs: readonly tf.Tensor[],
): { value: tf.Scalar; grads: tf.Tensor[] } {
  const { value, tape } = record(f);
  try {
    const grads = tf.tidy(() => backward(tape, value, xs));
    return { value, grads };
  } catch (error) {
    value.dispose();
    throw error;
  } finally {
    underWay = undefined;
    taken = [];
    for (const node of tape) tf.dispose([...node.saved]);
  }
}

/** Runs f with the tape on. */
function record(f: () => tf.Scalar): { value: tf.Scalar; tape: TapeNode[] } {
  const engine = tf.engine() as unknown as TapeEngine;
  if (engine.state.gradientDepth > 0) throw new Error("internal: gradients inside gradients");
  engine.startTape();
  try {
    const value = tf.tidy(f);
    return { value, tape: engine.state.activeTape ?? [] };
  } catch (error) {
    for (const node of engine.state.activeTape ?? []) tf.dispose([...node.saved]);
    throw error;
  } finally {
    engine.endTape();
    engine.state.activeTape = null;
  }
}

function backward(
  tape: readonly TapeNode[],
  value: tf.Scalar,
  xs: readonly tf.Tensor[],
): tf.Tensor[] {
  const reached = new Set(xs.map((x) => x.id)); // what depends on xs
  for (const { inputs, outputs } of tape) {
    if (Object.values(inputs).some((input) => reached.has(input.id))) {
      for (const output of outputs) reached.add(output.id);
    }
  }
  const slopes = new Map<number, tf.Tensor>([[value.id, tf.onesLike(value)]]);
  underWay = slopes;
  const engine = tf.engine() as unknown as TapeEngine;
  for (const node of tape.toReversed()) {
    const dys = node.outputs.map(({ id }) => slopes.get(id) ?? null);
    const names = Object.keys(node.inputs).filter((name) => reached.has(node.inputs[name].id));
    if (names.length > 0 && dys.some((dy) => dy !== null)) {
      if (!node.gradient) throw new Error(`internal: ${node.kernelName} has no gradient`);
      const { gradient } = node;
      const dxs = tf.tidy(() => {
        const start = engine.nextTensorId();
        const of = gradient(dys);
        const own = new Set<tf.Tensor>();
        for (const name of names) {
          const dx = of[name]();
          // a gradient that is another's tensor gets a handle of its own, since each is let go by itself
          own.add(dx.id < start || own.has(dx) ? tf.clone(dx) : dx);
        }
        return [...own];
      });
      // a handle more would keep whoever is next from adding to the same numbers
      tf.dispose(taken);
      taken = [];
      for (const [i, name] of names.entries()) accumulate(slopes, node.inputs[name].id, dxs[i]);
    }
    for (const { id } of node.outputs) {
      slopes.get(id)?.dispose();
      slopes.delete(id);
    }
    tf.dispose([...node.saved]);
  }
  return xs.map((x) => {
    const slope = slopes.get(x.id);
    if (!slope) throw new Error("internal: the value doesn't depend on one of its parameters");
    return slope;
  });
}

function accumulate(slopes: Map<number, tf.Tensor>, id: number, slope: tf.Tensor): void {
  const known = slopes.get(id);
  slopes.set(id, known ? tf.add(known, slope) : slope);
  if (known) tf.dispose([known, slope]);
}

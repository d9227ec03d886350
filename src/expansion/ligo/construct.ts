/**
 * @file LiGO's construction, differentiable in the operators: W_child = B (Σ_j w_j W_j) Aᵀ for every parameter, with
 * B = [I; M] on its rows and A = [I; M] on its columns; embeddings and the final norm are not mixed over layers. The
 * parent's matrices are constants: no gradient is computed for them.
 */
import { linear, tf } from "../../engine/index.ts";
import { blockName, type HostModel, modelSizes } from "../../models/index.ts";
import type { GrowthFrame, Piece, WidthAxis } from "./growth-frame.ts";

/** The parent's matrices on the engine, by piece: [layers, rows · columns], or [rows, columns] outside the blocks. */
export interface PlacedPieces {
  readonly tensors: ReadonlyMap<string, tf.Tensor2D>;
  dispose(): void;
}

/** Puts the pieces that `frame` needs on the engine, each once. The caller disposes them. */
export function placePieces(frame: GrowthFrame, parent: HostModel): PlacedPieces {
  const tensors = new Map<string, tf.Tensor2D>();
  for (const { pieces } of frame.parameters) {
    for (const piece of pieces) {
      const key = pieceKey(piece);
      if (tensors.has(key)) continue;
      const { mix, name, axes } = piece;
      const shape = axes.map(({ nParent, size }) => nParent * size) as [number, number];
      if (mix === null) {
        tensors.set(key, tf.tensor2d(partOf(piece, parent, name), shape));
        continue;
      }
      const { nLayer } = modelSizes(parent.config);
      const layers = Array.from({ length: nLayer }, (_, layer) =>
        partOf(piece, parent, `${blockName(parent.config, layer)}.${name}`),
      );
      const stack = new Float32Array(nLayer * layers[0].length);
      layers.forEach((values, layer) => {
        stack.set(values, layer * values.length);
      });
      tensors.set(key, tf.tensor2d(stack, [nLayer, layers[0].length]));
    }
  }
  return { tensors, dispose: () => tf.dispose([...tensors.values()]) };
}

/** The child's parameters by name. Differentiable in `operators`; call it inside `tf.tidy`. */
export function construct(
  { parameters }: GrowthFrame,
  pieces: PlacedPieces,
  operators: ReadonlyMap<string, tf.Tensor>,
): Map<string, tf.Tensor> {
  const whole = wholeOperators(operators);
  const grown = parameters.map(({ name, shape, pieces: parts, groups }) => {
    const values = parts.map((piece) => {
      const placed = pieces.tensors.get(pieceKey(piece)) as tf.Tensor2D;
      const [rows, columns] = piece.axes;
      const matrix =
        piece.mix === null
          ? placed
          : (tf.reshape(tf.matMul(operators.get(piece.mix) as tf.Tensor2D, placed), [
              rows.nParent * rows.size,
              columns.nParent * columns.size,
            ]) as tf.Tensor2D);
      return widenColumns(widenRows(matrix, whole(rows)), whole(columns));
    });
    if (values.length === 1) return [name, tf.reshape(values[0], [...shape])] as const;
    const runs = values.map((value) => tf.reshape(value, [groups, -1]) as tf.Tensor2D);
    return [name, tf.reshape(sideBySide(runs), [...shape])] as const;
  });
  return new Map(grown);
}

/** [W; M·W]. */
function widenRows(W: tf.Tensor2D, M: tf.Tensor2D | null): tf.Tensor2D {
  return M === null ? W : tf.concat([W, linear(M, W)], 0);
}

/** [W, W·Mᵀ]. */
function widenColumns(W: tf.Tensor2D, M: tf.Tensor2D | null): tf.Tensor2D {
  return M === null ? W : sideBySide([W, linear(W, M, undefined, { transposed: true })]);
}

/**
 * Matrices of as many rows beside one another. `tf.concat`'s own gradient splits by looking up every number by its
 * coordinates on some backends, which took longer than all products together; slices move runs.
 */
function sideBySide(parts: readonly tf.Tensor2D[]): tf.Tensor2D {
  return tf.customGrad((...args: (tf.Tensor | tf.GradSaveFunc)[]) => {
    const matrices = args.slice(0, -1) as tf.Tensor2D[];
    (args[args.length - 1] as tf.GradSaveFunc)([]);
    return {
      value: tf.concat(matrices, 1),
      gradFunc: (dy: tf.Tensor) => {
        let column = 0;
        return parts.map(({ shape: [rows, columns] }) => {
          column += columns;
          return tf.slice(dy as tf.Tensor2D, [0, column - columns], [rows, columns]);
        });
      },
    };
  })(...parts) as tf.Tensor2D;
}

/** M ⊗ I of an axis, made once for all parameters that it acts on; null where the axis keeps its size. */
function wholeOperators(
  operators: ReadonlyMap<string, tf.Tensor>,
): (axis: WidthAxis) => tf.Tensor2D | null {
  const made = new Map<string, tf.Tensor2D>();
  return ({ operator, nParent, nChild, size }) => {
    if (operator === null) return null;
    const M = operators.get(operator) as tf.Tensor2D | undefined;
    if (M === undefined) throw new Error(`internal: there is no operator ${operator}`);
    if (size === 1) return M;
    const key = `${operator} ${size}`;
    const known = made.get(key);
    if (known) return known;
    const nNew = nChild - nParent;
    const blocks = tf.mul(
      tf.reshape(M, [nNew, 1, nParent, 1]),
      tf.reshape(tf.eye(size), [1, size, 1, size]),
    );
    const full = tf.reshape(blocks, [nNew * size, nParent * size]) as tf.Tensor2D;
    made.set(key, full);
    return full;
  };
}

/** One part of a parent's parameter: its runs, gathered from between those of the other parts. */
function partOf({ part, name }: Piece, parent: HostModel, stored: string): Float32Array {
  const tensor = parent.weights.get(stored);
  if (!tensor) throw new Error(`internal: the parent has no parameter ${stored} (${name})`);
  const data = tensor.data as Float32Array;
  const { index, of, groups } = part;
  if (of === 1) return data;
  const length = data.length / (groups * of);
  const out = new Float32Array(groups * length);
  for (let group = 0; group < groups; group++) {
    const from = (group * of + index) * length;
    out.set(data.subarray(from, from + length), group * length);
  }
  return out;
}

function pieceKey({ name, part, mix }: Piece): string {
  return `${mix === null ? "" : "block "}${name} ${part.index}`;
}

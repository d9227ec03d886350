/**
 * The one place where TensorFlow.js enters. Functional style only (`tf.matMul(a, b)`): chained
 * methods are missing from its types. Production mode silences its banner and its per-op checks.
 * `@tensorflow/tfjs` is imported rather than `tfjs-core` because it registers the gradients.
 */
import * as tf from "@tensorflow/tfjs";

tf.enableProdMode();

export { tf };

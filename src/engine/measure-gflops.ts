/** @file How fast the active backend multiplies matrices, by the clock and by the processor's own time. */
import { tf } from "./tf.ts";

/** Billions of floating-point operations a second of one 512³ f32 product on the active backend. */
export async function measureGflops(): Promise<number> {
  const size = 512;
  const a = tf.ones([size, size]);
  const run = async (): Promise<void> => {
    const b = tf.add(a, 0);
    const c = tf.matMul(a, b);
    await c.data();
    tf.dispose([b, c]);
  };
  await run();
  const repeats = 5;
  const start = performance.now();
  for (let i = 0; i < repeats; i++) await run();
  const seconds = (performance.now() - start) / 1000 / repeats;
  a.dispose();
  return (2 * size ** 3) / seconds / 1e9;
}

/** Backends whose work the processor's time tells nothing of. */
const onDevices: readonly string[] = ["tensorflow-gpu", "webgpu"];

/**
 * GFLOP/s of the same product on one core that has nothing else to do: by the time the processor worked for it, the
 * best of some, so that other programs don't count; by the clock where a device computes.
 */
export async function measureCoreGflops(): Promise<number> {
  if (onDevices.includes(tf.getBackend())) return measureGflops();
  const size = 512;
  const a = tf.ones([size, size]);
  let best = 0;
  for (let repeat = 0; repeat < 8; repeat++) {
    const before = process.cpuUsage();
    for (let i = 0; i < 3; i++) {
      const product = tf.matMul(a, a);
      await product.data();
      product.dispose();
    }
    const { user, system } = process.cpuUsage(before); // µs
    const gflops = (3 * 2 * size ** 3) / Math.max(1, user + system) / 1e3;
    // the first one is a warm-up
    if (repeat > 0) best = Math.max(best, gflops);
  }
  a.dispose();
  return best;
}

/**
 * npm run bench:profile -- [PREFIX…]: where our own SAE and language-model steps spend their time, function of the addon by
 * function; what is left is JavaScript and waiting. With --markdown the tables go into docs/performance.md.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { useBackend } from "../src/engine/index.ts";
import { addonPlaces, loadAddon } from "../src/engine/native/load.ts";
import { selectCases } from "./cases.ts";
import { writeTable } from "./harness/page.ts";
import { profileTable, type StepProfile } from "./harness/profile-table.ts";
import { prepareLm } from "./ours/lm.ts";
import { prepareSae } from "./ours/sae.ts";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    threads: { type: "string", default: String(availableParallelism()) },
    markdown: { type: "boolean", default: false },
  },
});

/** Steps that are not counted, and seconds of steps that are. */
const warmUp = 2;
const seconds = 5;

const spent = timeAddon();
await useBackend("native", { threads: Number(values.threads) });
const profiles: StepProfile[] = [];
for (const { name, task, sizes } of selectCases(positionals)) {
  const prepare = { sae: prepareSae, lm: prepareLm }[task];
  if (prepare === undefined) continue;
  const folder = mkdtempSync(join(tmpdir(), "sae-carry-profile-"));
  try {
    const run = await prepare({ variant: "ours", sizes, folder });
    await run(warmUp);
    spent.clear();
    const start = performance.now();
    let steps = 0;
    while (steps < 2 || performance.now() - start < seconds * 1000) {
      await run(1);
      steps += 1;
    }
    const total = (performance.now() - start) / steps;
    const parts = [...spent].map(([part, { ms, calls }]) => ({
      part,
      ms: ms / steps,
      calls: calls / steps,
    }));
    profiles.push({ name, ms: total, parts });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
const table = profileTable(profiles);
process.stdout.write(`${table}\n`);
if (values.markdown) {
  writeTable(table, "profile");
}

/** Puts a clock around each function and method of the addon, which the engine loads from the same place afterwards. */
function timeAddon(): Map<string, { ms: number; calls: number }> {
  const times = new Map<string, { ms: number; calls: number }>();
  const timeAll = (holder: Record<string, unknown>, prefix: string): void => {
    for (const name of Object.getOwnPropertyNames(holder)) {
      const plain = holder[name];
      if (typeof plain !== "function" || name === "constructor") continue;
      if (/^[A-Z]/.test(name)) {
        timeAll(plain.prototype, `${name}.`); // a class
        continue;
      }
      holder[name] = function timed(this: unknown, ...args: unknown[]): unknown {
        const start = performance.now();
        const result = plain.apply(this, args);
        const entry = times.get(prefix + name) ?? { ms: 0, calls: 0 };
        const ms = entry.ms + performance.now() - start;
        times.set(prefix + name, { ms, calls: entry.calls + 1 });
        return result;
      };
    }
  };
  timeAll(loadAddon(addonPlaces()) as unknown as Record<string, unknown>, "");
  return times;
}

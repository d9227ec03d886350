import { spawnSync } from "node:child_process";
import { closeSync, mkdirSync, openSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { asideOf } from "../../src/io/atomic-file.ts";
import {
  AtomicSink,
  RunError,
  sweepTemporaries,
  UsageError,
  writeFileAtomic,
  writeJsonAtomic,
} from "../../src/io/index.ts";
import { compiled } from "../support/compiled.ts";
import { temporaryFolder } from "../support/folder.ts";

const file = temporaryFolder();
const io = compiled("src/io");

test("writeFileAtomic makes missing folders, replaces what is there and leaves nothing else", () => {
  writeFileAtomic(file("a", "b", "x.txt"), "one");
  writeFileAtomic(file("a", "b", "x.txt"), new TextEncoder().encode("two"));
  expect(readFileSync(file("a", "b", "x.txt"), "utf8")).toBe("two");
  expect(readdirSync(file("a", "b"))).toEqual(["x.txt"]);
});

test("a file has its name only after commit, and an abort leaves the old one", () => {
  writeFileAtomic(file("x"), "old");
  const sink = new AtomicSink(file("x"));
  sink.write(Uint8Array.of(1, 2));
  expect(sink.bytes).toBe(2);
  expect(readFileSync(file("x"), "utf8")).toBe("old");
  sink.abort();
  expect(readdirSync(file())).toEqual(["x"]);
  expect(readFileSync(file("x"), "utf8")).toBe("old");
});

test("writeJsonAtomic writes two spaces, a last newline, null for what is not finite, lists for typed arrays", () => {
  writeJsonAtomic(file("x.json"), {
    a: [NaN, -Infinity, 1.5],
    b: Float32Array.of(1, NaN),
    c: undefined,
  });
  expect(readFileSync(file("x.json"), "utf8")).toBe(
    '{\n  "a": [\n    null,\n    null,\n    1.5\n  ],\n  "b": [\n    1,\n    null\n  ]\n}\n',
  );
});

test("a path that can't be written is a UsageError that says why", () => {
  mkdirSync(file("folder"));
  expect(() => writeFileAtomic(file("folder"), "x")).toThrow(
    /expected a writable path, got a folder/,
  );
  writeFileSync(file("plain"), "x");
  expect(() => writeFileAtomic(file("plain", "x"), "x")).toThrow(UsageError);
  expect(() => writeFileAtomic(file("x".repeat(300)), "x")).toThrow(/a name that is too long/);
  expect(readdirSync(file()).sort()).toEqual(["folder", "plain"]);
});

test.runIf(process.platform === "linux")("a full device is a RunError that says what to do", () => {
  writeFileAtomic(file("x"), "old");
  const sink = new AtomicSink(file("x"));
  const opened = Reflect.get(sink, "fd");
  Object.assign(sink, { fd: openSync("/dev/full", "w") }); // the device that is always full
  closeSync(opened);
  expect(() => sink.write(Uint8Array.of(1))).toThrow(RunError);
  expect(() => sink.write(Uint8Array.of(1))).toThrow(/internal/);
  expect(readdirSync(file())).toEqual(["x"]);
  expect(readFileSync(file("x"), "utf8")).toBe("old");
});

test.runIf(process.platform !== "win32")(
  "a process under ulimit -f gets a RunError, keeps the old file and leaves nothing half-written",
  () => {
    writeFileAtomic(file("x.bin"), "old");
    const script = `
      import { writeFileAtomic, writeSafetensors, writeArrowTable, writeActivationDump, JsonlLog, float32, RunError } from ${JSON.stringify(io())};
      const data = new Float32Array(100_000);
      const hooks = [{ name: "h", width: 10 }];
      const int = new Int32Array(10_000);
      const batch = { doc: int, pos: int, tokenId: int, activations: new Map([["h", data]]) };
      const log = new JsonlLog("log.jsonl");
      const attempts = {
        bytes: () => writeFileAtomic("x.bin", new Uint8Array(400_000)),
        safetensors: () => writeSafetensors("x.safetensors", new Map([["w", { shape: [100_000], data }]])),
        table: () => writeArrowTable("x.arrow", [{ name: "a", type: float32, values: data }]),
        dump: () => writeActivationDump("d.arrow", { hooks, vocab: ["a"], metadata: {} }, [batch]),
        shards: () => writeActivationDump("s.arrow", { hooks, vocab: ["a"], metadata: {} }, [batch], { shardBytes: 1 }),
        log: () => { for (let i = 0; ; i++) log.append({ i, text: "x".repeat(999) }); },
      };
      for (const [name, attempt] of Object.entries(attempts)) {
        try {
          await attempt();
          console.log(name, "written");
        } catch (error) {
          console.log(name, error instanceof RunError && error.code, error.got);
        }
      }
    `;
    const { stdout, stderr, status } = spawnSync(
      "bash", // 64 blocks of 1024 bytes
      ["-c", 'ulimit -f 64; exec "$0" --input-type=module -e "$1"', process.execPath, script],
      { cwd: file(), encoding: "utf8" },
    );
    expect(stderr).toBe("");
    expect(status).toBe(0);
    const limit = "the file size limit is reached (ulimit -f)";
    const kinds = ["bytes", "safetensors", "table", "dump", "shards", "log"];
    expect(stdout.trim().split("\n")).toEqual(kinds.map((kind) => `${kind} disk-full ${limit}`));
    expect(readdirSync(file()).sort()).toEqual(["log.jsonl", "x.bin"]);
    expect(readFileSync(file("x.bin"), "utf8")).toBe("old");
    const lines = readFileSync(file("log.jsonl"), "utf8");
    expect(lines.endsWith("\n")).toBe(true); // the line that had no room was taken back whole
  },
);

test("a process killed in the middle leaves the old file, and its temporary file is swept away", () => {
  writeFileAtomic(file("run", "x"), "old");
  const script = `
    import { AtomicSink } from ${JSON.stringify(io())};
    const sink = new AtomicSink(${JSON.stringify(file("run", "x"))});
    sink.write(new Uint8Array(10));
    process.kill(process.pid, "SIGKILL");
  `;
  const { signal } = spawnSync(process.execPath, ["--input-type=module", "-e", script]);
  expect(signal).toBe("SIGKILL");
  expect(readdirSync(file("run"))).toHaveLength(2);
  writeFileSync(file("run", ".hidden"), "kept");
  sweepTemporaries(file("run"));
  expect(readdirSync(file("run")).sort()).toEqual([".hidden", "x"]);
  expect(readFileSync(file("run", "x"), "utf8")).toBe("old");
});

test("writing undefined as JSON is a mistake of ours, not a file", () => {
  expect(() => writeJsonAtomic(file("x.json"), undefined)).toThrow(/internal/);
});

test("a folder that was moved aside comes back where its successor never came, and goes where it did", () => {
  for (const [name, hasSuccessor] of [
    ["killed", false],
    ["done", true],
  ] as const) {
    const aside = asideOf(file("runs", name), 4242);
    mkdirSync(aside, { recursive: true });
    writeFileSync(join(aside, "model"), "old");
    if (hasSuccessor) mkdirSync(file("runs", name));
  }
  sweepTemporaries(file("runs"));
  expect(readdirSync(file("runs")).sort()).toEqual(["done", "killed"]);
  expect(readFileSync(file("runs", "killed", "model"), "utf8")).toBe("old");
  expect(readdirSync(file("runs", "done"))).toEqual([]);
});

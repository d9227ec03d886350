// What the stages of .ci/run came to: how many tests passed on each backend, then every failure with the
// beginning of its message, and as the last line: N passed, N failed. A log that is cut in its middle
// still tells what failed. `node .ci/summary.mjs FOLDER`, with NAME.status, NAME.log and NAME.json in it.
import { existsSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { stripVTControlCharacters } from "node:util";

const folder = process.argv[2];
const messageLines = 15;
const logLines = 40;

const read = (name) => readFileSync(join(folder, name), "utf8");
const plainLines = (text) => stripVTControlCharacters(text).trim().split("\n");

/** A failure's title, with the message's beginning below it. */
function describe(title, lines) {
  return [title, ...lines.map((line) => `    ${line}`)].join("\n");
}

/** A message's beginning, without the stack inside packages. */
function beginning(message) {
  const own = plainLines(message).filter(
    (line) => !/^\s*(at|❯) .*(node_modules|node:|<anonymous>)/.test(line),
  );
  return own.slice(0, messageLines);
}

/** What vitest prints of a failed test, with the difference that its JSON leaves out; undefined where it isn't found. */
function printed(log, file, { ancestorTitles, title }) {
  const heading = ` FAIL  ${[file, ...ancestorTitles, title].join(" > ")}`;
  const at = log.lastIndexOf(heading);
  if (at < 0) return undefined;
  return log.slice(at + heading.length).split(/⎯{4}/)[0];
}

/** What one file of vitest's JSON report has to complain of: tests that failed or were skipped, or the whole file. */
function complaintsOf({ name, status, message, assertionResults }, log) {
  const file = relative(process.cwd(), name);
  const failed = assertionResults.filter((test) => test.status === "failed");
  const complaints = failed.map((test) =>
    describe(
      `${file}: ${test.fullName}`,
      beginning(printed(log, file, test) ?? test.failureMessages.join("\n")),
    ),
  );
  // it could not be loaded, or a hook before or after its tests failed
  if (status === "failed" && (message !== "" || failed.length === 0))
    complaints.push(describe(`${file}: the file`, beginning(message)));
  for (const { fullName } of assertionResults.filter(
    (test) => !["passed", "failed"].includes(test.status),
  ))
    complaints.push(describe(`${file}: ${fullName}`, ["skipped: nothing may be skipped here"]));
  return complaints;
}

let passed = 0;
const failures = [];
for (const stage of ["crate", "wasm", "native", "tensorflow"]) {
  const log = stripVTControlCharacters(read(`${stage}.log`));
  const path = join(folder, `${stage}.json`);
  const report = existsSync(path) ? JSON.parse(readFileSync(path, "utf8")) : null;
  const complaints = report?.testResults.flatMap((file) => complaintsOf(file, log)) ?? [];
  const [, unhandled] = log.split("⎯ Unhandled Errors ⎯");
  if (unhandled !== undefined)
    complaints.push(
      describe("an error outside any test", plainLines(unhandled).slice(0, logLines)),
    );
  // lint, types, the build, the crate's tests: the end of the log tells what went wrong
  const ended = read(`${stage}.status`).trim() === "0" && (report !== null || stage === "crate");
  if (!ended && complaints.length === 0)
    complaints.push(describe("the end of the log", plainLines(log).slice(-logLines)));
  passed += report?.numPassedTests ?? 0;
  const count = report === null ? "" : `${report.numPassedTests} passed, `;
  console.log(`${stage}: ${count}${complaints.length} failed`);
  failures.push(...complaints.map((complaint) => `${stage}: ${complaint}`));
}
if (failures.length > 0) console.log(`\nwhat failed:\n\n${failures.join("\n\n")}\n`);
console.log(`${passed} passed, ${failures.length} failed`);
process.exit(failures.length > 0 || passed === 0 ? 1 : 0);

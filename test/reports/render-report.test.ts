import { createHash } from "node:crypto";
import { cpSync } from "node:fs";
import { beforeAll, expect, test } from "vitest";
import { renderReport, renderRun } from "../../reports/index.ts";
import { writeFixtureRun } from "../support/fixture-run.ts";
import { temporaryFolder } from "../support/folder.ts";
import { run, stage } from "./small-run.ts";

const folder = temporaryFolder();
const small = { latents: 24, appended: 4 } as const;
let html = "";

beforeAll(() => {
  html = "";
});

function rendered(): string {
  if (html === "") {
    writeFixtureRun(folder("run"), small);
    html = renderReport(folder("run"));
  }
  return html;
}

test("the same run gives the same bytes, wherever it lies", () => {
  const first = rendered();
  writeFixtureRun(folder("again"), small);
  cpSync(folder("again"), folder("elsewhere"), { recursive: true });
  expect(renderReport(folder("elsewhere"))).toBe(first);
});

test("the policy allows this page's script and styles by their hashes, and nothing else", () => {
  const page = rendered();
  const policy = /http-equiv="Content-Security-Policy" content="([^"]*)"/.exec(page)?.[1] ?? "";
  const hash = (text: string | undefined): string =>
    `'sha256-${createHash("sha256")
      .update(text ?? "")
      .digest("base64")}'`;
  const script = /<script>([\s\S]*?)<\/script>/.exec(page)?.[1];
  const styles = /<style>([\s\S]*?)<\/style>/.exec(page)?.[1];
  expect(policy).toBe(
    `default-src 'none'; script-src ${hash(script)}; style-src ${hash(styles)}; img-src data:; base-uri 'none'; form-action 'none'`,
  );
  expect(page.match(/<script/g)).toHaveLength(2);
});

test("nothing in the page can make a request, and no attribute is refused by the policy", () => {
  const page = rendered().replaceAll("http://www.w3.org/2000/svg", "");
  expect(page).not.toMatch(/https?:\/\//);
  expect(page).not.toMatch(/ (src|srcset|action|style|on\w+)=/);
  expect(page).not.toMatch(/url\(|@import/);
});

test("every number of the page is a number", () => {
  const body = rendered().replace(/<script[\s\S]*<\/script>/, "");
  expect(body).not.toMatch(/NaN|Infinity|undefined|\[object/);
});

test("a token that holds markup is text wherever it comes", () => {
  const token = "</script><img src=x onerror=alert(1)>";
  writeFixtureRun(folder("hostile"), { ...small, token });
  const page = renderReport(folder("hostile"));
  expect(page).not.toContain("<img");
  expect(page.match(/<\/script>/g)).toHaveLength(2);
  const data = JSON.parse(/id="data">(.*?)<\/script>/.exec(page)?.[1] ?? "null");
  expect(data.tokens).toContain(token);
});

test("names from a run are text", () => {
  const hostile = '"><img src=x onerror=alert(1)>';
  const base = run([stage("00-base")]);
  const page = renderRun({
    ...base,
    backend: hostile,
    plan: { ...base.plan, title: hostile, text: hostile, corpus: hostile },
    questions: [
      {
        id: 1,
        question: hostile,
        answer: hostile,
        value: 1,
        ci: null,
        unit: hostile,
        evidence: [
          { file: `javascript:${hostile}`, field: hostile },
          { file: "../outside", field: "x" },
          { file: "stages/00-base/eval.json", field: "model" },
        ],
        confident: true,
      },
    ],
  });
  expect(page).not.toContain("<img");
  expect(page.match(/href="[^"]*"/g)?.filter((href) => !href.startsWith('href="#'))).toEqual([
    'href="data:,"',
    'href="stages/00-base/eval.json"',
  ]);
});

test("a run that has only begun has a page, whatever is there", () => {
  for (const expansions of [0, 1] as const) {
    writeFixtureRun(folder(`partial-${expansions}`), { ...small, expansions });
    expect(renderReport(folder(`partial-${expansions}`))).toContain("</html>");
  }
  expect(renderRun(run([stage("00-base"), stage("01-wider")]))).toContain("not finished yet");
});

test("at the demo's size the page is at most 2 MB", () => {
  writeFixtureRun(folder("demo"), { latents: 768, appended: 128 });
  expect(Buffer.byteLength(renderReport(folder("demo")))).toBeLessThan(2e6);
});

// The report in a browser: it asks for nothing, says nothing on the console, and its table works by
// mouse, by keyboard, by link, in the dark and on a phone.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type { Browser, BrowserContextOptions, Page } from "playwright-core";
import { afterAll, beforeAll, expect } from "vitest";
import { renderReport } from "../../reports/index.ts";
import { launchChromium, missingChromium } from "../support/chromium.ts";
import { writeFixtureRun } from "../support/fixture-run.ts";
import { testWith } from "../support/require.ts";

const hostileToken = " </script><img src=x onerror=\"document.title='hurt'\">";
const test = testWith("browser", missingChromium);
const contrasts = readFileSync(new URL("./contrasts.js", import.meta.url), "utf8");
let folder = "";
let file = "";
let browser: Browser;

beforeAll(async () => {
  if (missingChromium !== undefined) return;
  folder = mkdtempSync(join(tmpdir(), "sae-carry-report-"));
  writeFixtureRun(folder, { latents: 120, appended: 16, token: hostileToken });
  file = join(folder, "report.html");
  writeFileSync(file, renderReport(folder));
  browser = await launchChromium();
});

afterAll(async () => {
  await browser?.close();
  if (folder !== "") rmSync(folder, { recursive: true, force: true });
});

/** Opens the page, lets `body` use it, and fails on any console message, error or request. */
async function withPage(
  body: (page: Page) => Promise<void>,
  { hash = "", ...options }: BrowserContextOptions & { hash?: string } = {},
): Promise<void> {
  const context = await browser.newContext({
    viewport: { width: 1280, height: 900 },
    reducedMotion: "reduce",
    ...options,
  });
  context.setDefaultTimeout(0); // the test has one
  const complaints: string[] = [];
  const page = await context.newPage();
  page.on("console", (message) => complaints.push(`console: ${message.text()}`));
  page.on("pageerror", (error) => complaints.push(`error: ${error.message}`));
  page.on("request", (request) => {
    const url = request.url();
    if (!url.startsWith("file:") && !url.startsWith("data:,")) complaints.push(`request: ${url}`);
  });
  try {
    await page.goto(pathToFileURL(file).href + hash);
    await body(page);
    expect(complaints).toEqual([]);
  } finally {
    await context.close();
  }
}

const rowNumbers = (page: Page): Promise<string[]> => page.locator(".open-row").allTextContents();
const shownCount = async (page: Page): Promise<number> =>
  Number.parseInt((await page.locator("#count").textContent()) ?? "", 10);

test("the page opens without a console message, an error or a request", async () => {
  await withPage(async (page) => {
    expect(await page.title()).toBe("Which features came along?");
    expect(await page.locator(".verdict:visible").textContent()).toContain("0.66");
    expect(await page.locator("svg.chart:visible").count()).toBeGreaterThan(6);
    expect(await page.locator("#rows tr.latent").count()).toBe(40);
  });
});

test("tokens that hold markup are shown as text", async () => {
  await withPage(
    async (page) => {
      const context = page.locator("tr.detail .ctx").first();
      expect(await context.textContent()).toContain("</script><img src=x");
      expect(await page.locator("img").count()).toBe(0);
      expect(await page.title()).not.toBe("hurt");
    },
    { hash: "#stage=01-wider&latent=0" },
  );
});

test("search finds tokens and numbers, and the facets count what it found", async () => {
  await withPage(async (page) => {
    const all = await shownCount(page);
    await page.fill("#search", "onerror");
    expect(await rowNumbers(page)).toContain("0");
    const found = await shownCount(page);
    expect(found).toBeLessThan(all);
    const facets = await page.locator("#facets b").allTextContents();
    expect(facets.reduce((sum, n) => sum + Number(n), 0)).toBe(found);
    await page.fill("#search", "17");
    expect(await rowNumbers(page)).toContain("17");
    await page.fill("#search", "nothing is like this");
    expect(await page.locator("#rows").textContent()).toContain("No latent is like that.");
    await page.click("#reset");
    expect(await shownCount(page)).toBe(all);
  });
});

test("verdicts, density and sorting narrow and order the table", async () => {
  await withPage(async (page) => {
    expect(await page.locator("#rows .chip").first().textContent()).toBe("Died");
    await page.click('[data-facet="persisted"]');
    const chips = await page.locator("#rows .chip").allTextContents();
    expect(new Set(chips)).toEqual(new Set(["Persisted"]));
    await page.click('th[data-key="corr"] button');
    const values = (await page.locator("#rows tr.latent td:nth-child(3)").allTextContents()).map(
      Number,
    );
    expect(values).toEqual(values.toSorted((a, b) => b - a));
    expect(await page.getAttribute('th[data-key="corr"]', "aria-sort")).toBe("descending");
    await page.click('th[data-key="corr"] button');
    expect(await page.getAttribute('th[data-key="corr"]', "aria-sort")).toBe("ascending");
    await page.click("#reset");
    const before = await shownCount(page);
    await page.selectOption("#density", "0.01-0.1");
    expect(await shownCount(page)).toBeLessThan(before);
  });
});

test("a split latent opens to all its pieces, and says what they come to", async () => {
  await withPage(async (page) => {
    await page.click('[data-facet="split"]');
    await page.locator("#rows tr.latent").first().click();
    const detail = page.locator("tr.detail");
    const panes = await detail.locator("h4").allTextContents();
    expect(panes.length).toBeGreaterThan(2);
    panes.slice(1).forEach((pane, at) => {
      expect(pane).toContain(`piece ${at + 1} of ${panes.length - 1}`);
    });
    expect(await detail.locator("dl.why").textContent()).toContain(
      "together R² 0.86, 0.34 above the best single latent",
    );
  });
});

test("a row opens to parent and child side by side, with its evidence and a link", async () => {
  await withPage(async (page) => {
    await page.locator("#rows tr.latent").nth(2).click();
    const detail = page.locator("tr.detail");
    expect(await detail.locator("h4").allTextContents()).toHaveLength(2);
    expect(await detail.locator("dt").allTextContents()).toEqual(
      expect.arrayContaining(["verdict", "function", "direction", "firings", "link"]),
    );
    expect(await detail.locator(".ctx").count()).toBeGreaterThan(1);
    expect(page.url()).toMatch(/#stage=02-deeper&latent=c?\d+$/);
  });
});

test("a link leads to the latent that it names", async () => {
  await withPage(
    async (page) => {
      expect(await page.locator("tr.open .open-row").textContent()).toBe("5");
      expect(await page.getAttribute('[data-go="01-wider"]', "aria-pressed")).toBe("true");
      expect(await page.locator("tr.detail").isVisible()).toBe(true);
    },
    { hash: "#stage=01-wider&latent=5" },
  );
});

test("a latent's way through the run leads to its other stages and back", async () => {
  await withPage(async (page) => {
    await page.click('[data-facet="persisted"]');
    await page.locator("#rows tr.latent").first().click();
    const trail = page.locator("tr.detail .trail").first();
    expect(await trail.textContent()).toMatch(/01 wider .* → 02 deeper persisted$/);
    await trail.locator('[data-jump^="01-wider/"]').click();
    expect(await page.getAttribute('[data-go="01-wider"]', "aria-pressed")).toBe("true");
    expect(page.url()).toMatch(/#stage=01-wider&latent=c?\d+$/);
    await page.locator('tr.detail [data-jump^="02-deeper/"]').click();
    expect(await page.locator("tr.open .chip").textContent()).toBe("Persisted");
  });
});

test("the keyboard alone will do", async () => {
  await withPage(async (page) => {
    await page.keyboard.press("/");
    expect(await page.evaluate("document.activeElement?.id")).toBe("search");
    await page.keyboard.press("ArrowDown");
    const numbers = await rowNumbers(page);
    const focused = (): Promise<string | null | undefined> =>
      page.evaluate("document.activeElement?.textContent");
    expect(await focused()).toBe(numbers[0]);
    await page.keyboard.press("ArrowDown");
    expect(await focused()).toBe(numbers[1]);
    await page.keyboard.press("Enter");
    expect(await page.getAttribute("tr.open .open-row", "aria-expanded")).toBe("true");
    expect(await focused()).toBe(numbers[1]);
    await page.keyboard.press("Escape");
    expect(await page.locator("tr.detail").count()).toBe(0);
    await page.keyboard.press("PageDown");
    expect(await page.locator("#page").textContent()).toMatch(/^41–/);
  });
});

test("the stage picker changes the whole page", async () => {
  await withPage(async (page) => {
    await page.click('[data-go="01-wider"]');
    expect(await page.locator(".verdict:visible").textContent()).toContain("Widened from 64 to 96");
    expect(await page.locator(".overview:visible").count()).toBe(1);
    await page.click('[data-go="00-base"]');
    expect(await page.locator("#order").textContent()).toBe("most frequent first");
    expect(await page.locator("#rows .chip").count()).toBe(0);
    expect(page.url()).toContain("#stage=00-base");
  });
});

test("loss is shown by tokens or by compute", async () => {
  await withPage(async (page) => {
    expect(await page.locator('[data-view-of="tokens"]').isVisible()).toBe(true);
    await page.click('[data-view="flops"]');
    expect(await page.locator('[data-view-of="flops"]').isVisible()).toBe(true);
    expect(await page.locator('[data-view-of="tokens"]').isVisible()).toBe(false);
  });
});

test("likeness over training has a curve for each pair of models and says what it comes to", async () => {
  await withPage(async (page) => {
    const figure = page.locator("figure:visible", { hasText: "Likeness" });
    expect(await figure.count()).toBe(1);
    const names = await figure.locator("svg text").allTextContents();
    for (const name of ["to its parent", "in place", "to scratch", "scratch to parent"]) {
      expect(names.some((text) => text.startsWith(name))).toBe(true);
    }
    expect(names.some((text) => text.includes("random weights to parent 0.11"))).toBe(true);
    expect(await figure.textContent()).toContain("At the end 0.76 of what sets the parent apart");
  });
});

test("CSV holds the rows in view, and no cell begins a formula", async () => {
  await withPage(async (page) => {
    await page.click('[data-facet="died"]');
    const [download] = await Promise.all([page.waitForEvent("download"), page.click("#csv")]);
    const lines = readFileSync(await download.path(), "utf8")
      .trimEnd()
      .split("\n");
    expect(download.suggestedFilename()).toBe("latents-02-deeper.csv");
    expect(lines[0]).toMatch(/^side,latent,verdict,detail,/);
    expect(lines.filter((line) => /^(parent|child),/.test(line))).toHaveLength(
      await shownCount(page),
    );
    expect(lines.some((line) => /(^|,)"?[=+@]/.test(line))).toBe(false);
  });
});

for (const colorScheme of ["light", "dark"] as const) {
  for (const [device, width] of [
    ["a phone", 390],
    ["a small phone", 320],
    ["a tablet", 800],
    ["a desk", 1280],
  ] as const) {
    test(`on ${device} in the ${colorScheme} nothing runs over the side`, async () => {
      await withPage(
        async (page) => {
          for (const stage of ["02-deeper", "00-base"]) {
            await page.click(`[data-go="${stage}"]`);
            const [wide, seen] = await page.evaluate<[number, number]>(
              "[document.documentElement.scrollWidth, innerWidth]",
            );
            expect(wide).toBeLessThanOrEqual(seen);
          }
          const background = await page.evaluate("getComputedStyle(document.body).backgroundColor");
          expect(background).toBe(
            colorScheme === "dark" ? "rgb(21, 21, 19)" : "rgb(251, 250, 247)",
          );
        },
        { viewport: { width, height: 844 }, colorScheme, hash: "#stage=02-deeper&latent=3" },
      );
    });
  }
}

test("on paper the page is light, its details open, its controls gone", async () => {
  await withPage(
    async (page) => {
      await page.emulateMedia({ media: "print", colorScheme: "dark" });
      await page.evaluate("dispatchEvent(new Event('beforeprint'))");
      expect(await page.locator("#search").isVisible()).toBe(false);
      expect(await page.locator("details:not([open])").count()).toBe(0);
      expect(await page.evaluate("getComputedStyle(document.body).backgroundColor")).toBe(
        "rgb(255, 255, 255)",
      );
      await page.evaluate("dispatchEvent(new Event('afterprint'))");
      expect(await page.locator("details[open]").count()).toBe(0);
    },
    { colorScheme: "dark" },
  );
});

test("the colours can be chosen", async () => {
  await withPage(async (page) => {
    const background = (): Promise<string> =>
      page.evaluate("getComputedStyle(document.body).backgroundColor");
    await page.click("#theme");
    await page.click("#theme");
    expect(await background()).toBe("rgb(21, 21, 19)");
    await page.click("#theme");
    expect(await background()).toBe("rgb(251, 250, 247)");
  });
});

test("the plan and the command can be copied", async () => {
  await withPage(
    async (page) => {
      await page.evaluate("globalThis.setTimeout = () => 0"); // what the button says stays
      await page.click('[data-copy="command"]');
      await page.waitForFunction("document.querySelector('[data-copy]').textContent === 'Copied'");
      expect(await page.evaluate("navigator.clipboard.readText()")).toContain(
        "sae-carry expand-and-track plan.yaml",
      );
    },
    { permissions: ["clipboard-read", "clipboard-write"] },
  );
});

test("without a script every stage and figure is there", async () => {
  await withPage(
    async (page) => {
      expect(await page.locator(".overview:visible").count()).toBe(3);
      expect(await page.locator("noscript").isVisible()).toBe(true);
    },
    { javaScriptEnabled: false },
  );
});

test("text stands out from its background in both schemes", async () => {
  for (const colorScheme of ["light", "dark"] as const) {
    await withPage(
      async (page) => {
        const ratios = await page.evaluate<[string, number][]>(contrasts);
        for (const [name, ratio] of ratios) {
          expect(ratio, `${name} in the ${colorScheme}`).toBeGreaterThanOrEqual(4.5);
        }
      },
      { colorScheme },
    );
  }
});

/**
 * The page: one file that asks for nothing. Its script and style sheet stand in it, named by their
 * hashes in a content security policy that forbids everything else, so that it can make no request
 * and run nothing that a token might bring along.
 */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { html, jsonForScript, Markup } from "./html.ts";

// Files of this folder, in the order in which they stand in the page.
const scriptParts = ["state.js", "rows.js", "tokens.js", "latent.js", "table.js", "events.js"];
const styleParts = ["base.css", "figures.css", "tables.css", "parts.css"];

/** What the page is made of. */
export interface PageContent {
  readonly title: string;
  readonly body: Markup;
  /** Given to the script as JSON. */
  readonly data: unknown;
}

/** The whole document. */
export function page({ title, body, data }: PageContent): string {
  const script = bundle(scriptParts.map(asset));
  const styles = styleParts.map(asset).join("\n");
  const policy = [
    "default-src 'none'",
    `script-src '${hashSource(script)}'`,
    `style-src '${hashSource(styles)}'`,
    "img-src data:",
    "base-uri 'none'",
    "form-action 'none'",
  ].join("; ");
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${new Markup(policy)}">
<meta name="viewport" content="width=device-width,initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="generator" content="sae-carry">
<link rel="icon" href="data:,">
<title>${title}</title>
<style>${new Markup(styles)}</style>
</head>
<body>
<main>
${body}
</main>
<script type="application/json" id="data">${jsonForScript(data)}</script>
<script>${new Markup(script)}</script>
</body>
</html>
`.text;
}

/**
 * Modules as one classic script, which a page opened from a disk may run: what they import from one
 * another is in the same scope. Names at the top of a module are unique among them.
 */
function bundle(modules: readonly string[]): string {
  const code = modules
    .join("\n")
    .replace(/^import [^;]*;\n+/gm, "")
    .replace(/^export (?=const |function )/gm, "");
  return `(() => {\n"use strict";\n${code}\n})();`;
}

/** A file of this folder with its ends trimmed; it may not hold what would end its element. */
function asset(name: string): string {
  const text = readFileSync(new URL(`./${name}`, import.meta.url), "utf8").trim();
  if (/<\/(script|style)/i.test(text)) throw new Error(`internal: ${name} would end its element`);
  return text;
}

function hashSource(text: string): string {
  return `sha256-${createHash("sha256").update(text, "utf8").digest("base64")}`;
}

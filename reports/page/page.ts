/**
 * The page: one file that asks for nothing. Its script and style sheet stand in it, named by their
 * hashes in a content security policy that forbids everything else, so that it can make no request
 * and run nothing that a token might bring along.
 */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { html, jsonForScript, Markup } from "./html.ts";

/** What the page is made of. */
export interface PageContent {
  readonly title: string;
  readonly body: Markup;
  /** Given to the script as JSON. */
  readonly data: unknown;
}

/** The whole document. */
export function page({ title, body, data }: PageContent): string {
  const script = asset("script.js");
  const styles = asset("styles.css");
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

/** A file of this folder with its ends trimmed; it may not hold what would end its element. */
function asset(name: string): string {
  const text = readFileSync(new URL(`./${name}`, import.meta.url), "utf8").trim();
  if (/<\/(script|style)/i.test(text)) throw new Error(`internal: ${name} would end its element`);
  return text;
}

function hashSource(text: string): string {
  return `sha256-${createHash("sha256").update(text, "utf8").digest("base64")}`;
}

import fc from "fast-check";
import { expect, test } from "vitest";
import { html, jsonForScript, Markup } from "../../../reports/page/html.ts";

test("what is put into a template is escaped, markup is not", () => {
  const bold = html`<b>${"<&>"}</b>`;
  expect(html`<p title="${'"x"'}">${bold}${null}${false}${[1, "'"]}</p>`.text).toBe(
    '<p title="&#34;x&#34;"><b>&#60;&#38;&#62;</b>1&#39;</p>',
  );
});

test("no text can open an element or end an attribute", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (text) => {
      expect(html`${text}`.text).not.toMatch(/[<>"']/);
    }),
  );
});

test("JSON for a script keeps its value and can't end the script", () => {
  const hostile = { a: "</script><!--<script>", b: "\u2028 & >" };
  const { text } = jsonForScript(hostile);
  expect(text).not.toMatch(/[<>&\u2028]/);
  expect(JSON.parse(text)).toEqual(hostile);
  expect(jsonForScript(1)).toBeInstanceOf(Markup);
});

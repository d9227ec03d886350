/**
 * Markup by tagged template: whatever is put into one is escaped, unless it is markup already. So a
 * name or a token from a file can't become an element by being forgotten.
 */

/** A piece of HTML that is safe to write out. */
export class Markup {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

/** What may be put into a template; null, undefined and false leave nothing. */
export type Content = Markup | string | number | null | undefined | false | readonly Content[];

/** Builds markup; strings and numbers are escaped. */
export function html(strings: TemplateStringsArray, ...contents: readonly Content[]): Markup {
  return new Markup(
    strings.map((part, i) => part + (i < contents.length ? render(contents[i]) : "")).join(""),
  );
}

/** Text with the five characters that HTML gives a meaning replaced. */
export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}

/**
 * A value as JSON that can stand inside a script element: no `<` (which could end the element or open
 * a comment), no line separators that older parsers trip over.
 */
export function jsonForScript(value: unknown): Markup {
  const text = JSON.stringify(value).replace(
    /[<>&\u2028\u2029]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
  return new Markup(text);
}

function render(content: Content): string {
  if (content === null || content === undefined || content === false) return "";
  if (content instanceof Markup) return content.text;
  if (Array.isArray(content)) return content.map(render).join("");
  return escapeHtml(String(content));
}

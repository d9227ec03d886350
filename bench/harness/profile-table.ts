/** Profiles of steps as one table of Markdown. */

/** A step's time, and that of the addon's functions in it, in milliseconds. */
export interface StepProfile {
  readonly name: string;
  readonly ms: number;
  readonly parts: readonly {
    readonly part: string;
    readonly ms: number;
    readonly calls: number;
  }[];
}

/** A row for each function that takes a hundredth of its step or more, the rest in one, and what is outside of them all. */
export function profileTable(profiles: readonly StepProfile[]): string {
  const rows = profiles.flatMap(({ name, ms, parts }) => {
    const sorted = [...parts].sort((a, b) => b.ms - a.ms);
    const shown = sorted.filter((part) => part.ms >= ms / 100);
    const few = sorted.slice(shown.length).reduce((sum, part) => sum + part.ms, 0);
    const inside = parts.reduce((sum, part) => sum + part.ms, 0);
    const row = (label: string, calls: string, part: number): string =>
      `| ${label} | ${calls} | ${digits(part)} | ${Math.round((100 * part) / ms)}% |`;
    return [
      row(`**\`${name}\`, a step**`, "", ms),
      ...shown.map((part) => row(`\`${part.part}\``, digits(part.calls), part.ms)),
      row("other functions of the addon", "", few),
      row("JavaScript", "", ms - inside),
    ];
  });
  return ["| | calls | ms | share |", "|---|---|---|---|", ...rows].join("\n");
}

function digits(value: number): string {
  return value >= 100 ? String(Math.round(value)) : String(Number(value.toPrecision(3)));
}

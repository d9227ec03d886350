// The rows of the stage in view: what each latent's figures are, which rows match a search, and their order.
import { data, view } from "./state.js";

export const stageIndex = () => data.stages.findIndex(({ name }) => name === view.state.stage);
export const tableOf = (index) => data.tables.find((table) => table.stage === index);

export function rowsOf(table) {
  if (table.rows) return table.rows;
  const child = data.stages[table.stage].features;
  const parent = table.compared ? (data.stages[table.stage - 1]?.features ?? null) : null;
  const measure = (name, i) => table.measures[name]?.[i] ?? null;
  table.rows = table.latent.map((latent, i) => {
    const isChild = table.side[i] === 1;
    const match = table.match[i];
    const [before, after] = isChild ? [match, latent] : [latent, match];
    const contains = [measure("contain_pc", i), measure("contain_cp", i)].filter((v) => v !== null);
    return {
      i,
      id: `${isChild && table.compared ? "c" : ""}${latent}`,
      latent,
      isChild,
      before: isChild && !table.compared ? -1 : before,
      after,
      others: table.others[i] ?? [],
      rank: i,
      verdict: data.verdicts[table.verdict[i]] ?? null,
      corr: measure("corr", i),
      cos: measure("cos", i),
      contain: contains.length === 2 ? Math.min(...contains) : null,
      fresh_rate: measure("fresh_rate", i),
      density_before: parent?.density[before] ?? null,
      density_after: child?.density[after] ?? null,
      lineage: table.lineage[i] ?? "",
      own: isChild || !parent ? child : parent,
    };
  });
  return table.rows;
}

/** The tokens of a latent's contexts and logits as one searchable text. */
function haystack(row) {
  if (row.text === undefined) {
    const { own, latent } = row;
    const words = (own?.contexts[latent] ?? []).map(([, , ids]) =>
      ids.map((id) => data.tokens[id]).join(""),
    );
    const top = (own?.top[latent] ?? [])
      .filter((_, at) => at % 2 === 0)
      .map((id) => data.tokens[id]);
    row.text = [...words, ...top].join("\n").toLowerCase();
  }
  return row.text;
}

export function matches(row, { q, density, lineage }) {
  if (density) {
    const [low, high] = density.split("-").map(Number);
    const own = row.isChild ? row.density_after : row.density_before;
    if (own === null || own < low || (high < 1 && own >= high)) return false;
  }
  if (lineage && row.lineage !== lineage) return false;
  const text = q.trim().toLowerCase();
  if (text === "") return true;
  if (/^c?\d+$/.test(text)) {
    if (row.id === text || String(row.latent) === text) return true;
  }
  return haystack(row).includes(q.toLowerCase()) || haystack(row).includes(text);
}

export function sorted(rows) {
  const [key, direction] = view.state.sort.split(":");
  if (!key) return rows;
  const sign = direction === "asc" ? 1 : -1;
  const value = (row) => (key === "verdict" ? -row.rank : row[key]);
  return rows.toSorted((a, b) => {
    const [x, y] = [value(a), value(b)];
    if (x === y || (x == null && y == null)) return a.rank - b.rank;
    if (x == null) return 1;
    if (y == null) return -1;
    return sign * (x - y);
  });
}

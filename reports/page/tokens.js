// Tokens and contexts as nodes, with line ends and lone spaces made visible.
import { data, decimal, make, minus } from "./state.js";

const invisible = new Map([
  ["\n", "↵"],
  ["\\n", "↵"],
  ["\t", "⇥"],
  ["\\t", "⇥"],
  ["\r", "␍"],
  ["\\r", "␍"],
]);

/** A token as nodes, with line ends and lone spaces made visible. `isAlone`: in a list, where a leading space matters. */
function tokenNodes(token, isAlone) {
  const parts = token.split(/(\\[nrt]|[\n\r\t])/).filter((part) => part !== "");
  const nodes = parts.map((part) => {
    const symbol = invisible.get(part);
    return symbol ? make("u", {}, symbol) : part;
  });
  if (isAlone && token.startsWith(" ")) nodes[0] = String(nodes[0]).slice(1);
  if (isAlone && token.startsWith(" ")) nodes.unshift(make("u", {}, "␣"));
  return nodes;
}

export function contextLine([doc, pos, ids, firing], colour, max) {
  const levels = new Map();
  for (let k = 0; k < firing.length; k += 2) levels.set(firing[k], firing[k + 1]);
  let peak = 0;
  for (const [at, level] of levels) if (level > (levels.get(peak) ?? 0)) peak = at;
  const part = (from, to) => {
    const nodes = [];
    for (let at = from; at < to; at++) {
      const token = data.tokens[ids[at]] ?? "";
      const level = levels.get(at);
      if (level === undefined) nodes.push(...tokenNodes(token, false));
      else {
        const title = max ? decimal((level / 100) * max) : `${level}% of its maximum`;
        nodes.push(
          make(
            "i",
            { class: `l${Math.max(1, Math.min(9, Math.ceil(level / 11.2)))}`, title },
            ...tokenNodes(token, token.trim() === ""),
          ),
        );
      }
    }
    return nodes;
  };
  // the left part in a span of its own, so that it is cut at its left end
  return make(
    "div",
    { class: `ctx c-${colour}`, title: `document ${doc}, position ${pos}` },
    make("span", { class: "l" }, make("span", {}, ...part(0, peak))),
    make("span", {}, ...part(peak, peak + 1)),
    make("span", {}, ...part(peak + 1, ids.length)),
  );
}

export function logitLine(label, pairs) {
  if (!pairs || pairs.length === 0) return null;
  const line = make("p", { class: "tokens" }, `${label} `);
  for (let k = 0; k < pairs.length; k += 2) {
    line.append(
      make(
        "span",
        { title: minus(String(pairs[k + 1])) },
        ...tokenNodes(data.tokens[pairs[k]] ?? "", true),
      ),
    );
  }
  return line;
}

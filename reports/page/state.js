// The page's script, first part: the data, how elements and numbers are made, and the state that a link can hold.
// page.ts makes one script of all parts. None makes markup from a string, so a token stays text.
export const data = JSON.parse(document.getElementById("data").textContent);
export const $ = (id) => document.getElementById(id);
export const pageSize = 40;
const verdictKeys = data.verdicts.map(({ key }) => key);

/** One element; properties are set as properties, children as text or nodes. */
export const make = (tag, properties = {}, ...children) => {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name === "class") element.className = value;
    else if (name.startsWith("aria-") || name.startsWith("data-") || name === "scope")
      element.setAttribute(name, value);
    else element[name] = value;
  }
  element.append(...children.filter((child) => child !== null));
  return element;
};

// numbers as the rest of the page prints them
export const minus = (text) => text.replace(/^-/, "−");
export const decimal = (value) =>
  value === null || value === undefined ? "–" : minus(value.toFixed(2));
export const percent = (share) => {
  if (share === null || share === undefined) return "–";
  const size = share * 100;
  return `${size.toFixed(size === 0 || size >= 9.95 ? 0 : size >= 0.995 ? 1 : 2)}%`;
};
export const count = (n) => String(n).replace(/\B(?=(\d{3})+$)/g, ",");

/** Everything a link can hold. */
export const initial = {
  stage: data.shown,
  q: "",
  verdict: [],
  density: "",
  lineage: "",
  sort: "",
  page: 0,
};
/** What is in view: the state, the latents that are open, the rows after filtering, the row with the focus. */
export const view = {
  state: { ...initial, ...fromHash() },
  open: new Set(),
  shown: [],
  focused: 0,
};

export function fromHash() {
  const hash = location.hash.slice(1);
  if (!hash.includes("=")) return {};
  const given = new URLSearchParams(hash);
  const found = {};
  if (data.stages.some(({ name }) => name === given.get("stage"))) found.stage = given.get("stage");
  for (const key of ["q", "density", "lineage", "sort"]) {
    if (given.has(key)) found[key] = given.get(key);
  }
  if (given.has("verdict")) {
    found.verdict = given
      .get("verdict")
      .split(",")
      .filter((key) => verdictKeys.includes(key));
  }
  if (/^c?\d+$/.test(given.get("latent") ?? "")) found.latent = given.get("latent");
  return found;
}

function toHash() {
  const parts = new URLSearchParams();
  for (const key of ["stage", "q", "density", "lineage", "sort", "latent"]) {
    if (view.state[key]) parts.set(key, view.state[key]);
  }
  if (view.state.verdict.length > 0) parts.set("verdict", view.state.verdict.join(","));
  if (parts.size === 1 && view.state.stage === data.shown) return "";
  return `#${parts.toString().replaceAll("%2C", ",")}`;
}

export function remember() {
  const hash = toHash();
  if (hash !== location.hash) history.replaceState(null, "", hash || location.pathname);
}

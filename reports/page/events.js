// What people do: clicks, typing, keys, links, printing; and the first drawing.
import { $, fromHash, initial, remember, view } from "./state.js";
import {
  change,
  copy,
  csv,
  focusRow,
  jump,
  render,
  showStage,
  syncControls,
  toggle,
} from "./table.js";

document.addEventListener("click", (event) => {
  const target = event.target.closest("button, a, tr.latent");
  if (!target) return;
  const { dataset } = target;
  if (dataset.go) {
    view.open = new Set();
    view.state = {
      ...view.state,
      stage: dataset.go,
      verdict: [],
      lineage: "",
      page: 0,
      latent: undefined,
    };
    showStage();
    change({});
  } else if (dataset.facet) {
    const chosen = view.state.verdict.includes(dataset.facet)
      ? view.state.verdict.filter((key) => key !== dataset.facet)
      : [...view.state.verdict, dataset.facet];
    change({ verdict: chosen });
    $("facets").querySelector(`[data-facet="${dataset.facet}"]`)?.focus();
  } else if (dataset.view) {
    const card = target.closest(".views");
    for (const button of card.querySelectorAll("[data-view]"))
      button.setAttribute("aria-pressed", String(button === target));
    for (const panel of card.querySelectorAll("[data-view-of]"))
      panel.classList.toggle("shown", panel.dataset.viewOf === dataset.view);
  } else if (dataset.jump) {
    const [stage, id] = dataset.jump.split("/");
    jump(stage, id);
  } else if (dataset.link) {
    view.state.latent = dataset.link;
    remember();
    copy(location.href, target);
  } else if (dataset.copy) copy($(dataset.copy).textContent, target);
  else if (target.id === "theme") nextTheme(target);
  else if (target.id === "reset") {
    view.open = new Set();
    view.state = { ...initial, stage: view.state.stage };
    syncControls();
    change({});
  } else if (target.id === "csv") csv();
  else if (target.id === "previous") change({ page: view.state.page - 1, latent: undefined }, true);
  else if (target.id === "next") change({ page: view.state.page + 1, latent: undefined }, true);
  else if (target.closest("#table th[data-key]")) {
    const { key } = target.closest("th").dataset;
    const [current, direction] = view.state.sort.split(":");
    const first = key === "latent" ? "asc" : "desc";
    const other = first === "asc" ? "desc" : "asc";
    change({
      sort: current !== key ? `${key}:${first}` : direction === first ? `${key}:${other}` : "",
    });
  } else if (target.closest("tr.latent")) toggle(target.closest("tr.latent").dataset.id);
});

function nextTheme(button) {
  const order = ["", "light", "dark"];
  const now = document.documentElement.dataset.theme ?? "";
  const next = order[(order.indexOf(now) + 1) % order.length];
  if (next) document.documentElement.dataset.theme = next;
  else delete document.documentElement.dataset.theme;
  button.textContent = { "": "◐", light: "○", dark: "●" }[next];
  button.setAttribute("aria-label", `Colours: ${next || "as the system"}`);
}

$("search").addEventListener("input", (event) => change({ q: event.target.value }));
for (const key of ["density", "lineage"]) {
  $(key).addEventListener("change", (event) => change({ [key]: event.target.value }));
}
document.addEventListener("keydown", (event) => {
  const isTyping = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName);
  if (event.key === "/" && !isTyping && !event.ctrlKey && !event.metaKey) {
    event.preventDefault();
    $("search").focus();
    return;
  }
  if (event.key === "Escape" && event.target.id === "search" && view.state.q !== "") {
    view.state.q = "";
    syncControls();
    change({});
    return;
  }
  if (event.key === "ArrowDown" && event.target.id === "search") {
    event.preventDefault();
    focusRow();
    return;
  }
  if (!event.target.classList.contains("open-row")) return;
  const last = $("rows").querySelectorAll(".open-row").length - 1;
  const moves = {
    ArrowDown: view.focused + 1,
    j: view.focused + 1,
    ArrowUp: view.focused - 1,
    k: view.focused - 1,
    Home: 0,
    End: last,
  };
  if (event.key in moves) {
    event.preventDefault();
    view.focused = Math.max(0, Math.min(last, moves[event.key]));
    focusRow();
  } else if (event.key === "Escape" && view.open.size > 0) {
    view.open = new Set();
    change({ latent: undefined }, true);
    focusRow();
  } else if (event.key === "PageDown" && !$("next").disabled) {
    event.preventDefault();
    change({ page: view.state.page + 1, latent: undefined }, true);
    focusRow();
  } else if (event.key === "PageUp" && !$("previous").disabled) {
    event.preventDefault();
    change({ page: view.state.page - 1, latent: undefined }, true);
    focusRow();
  }
});
// on paper nothing can be opened any more
let closed = [];
addEventListener("beforeprint", () => {
  closed = [...document.querySelectorAll("details:not([open])")];
  for (const details of closed) details.open = true;
});
addEventListener("afterprint", () => {
  for (const details of closed) details.open = false;
});
addEventListener("hashchange", () => {
  const given = fromHash();
  if (given.latent !== undefined) jump(given.stage ?? view.state.stage, given.latent);
  else if (Object.keys(given).length > 0) {
    view.state = { ...initial, ...given };
    showStage();
    change({});
  }
});

if (view.state.latent !== undefined) view.open.add(view.state.latent);
showStage();
render();
if (view.state.latent !== undefined) {
  $("rows").querySelector("tr.open")?.scrollIntoView({ block: "center" });
}

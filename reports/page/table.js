// Drawing the table with its facets and pages, showing a stage, CSV, copying.
import { latentRow } from "./latent.js";
import { matches, rowsOf, sorted, stageIndex, tableOf } from "./rows.js";
import { $, count, data, initial, make, pageSize, remember, view } from "./state.js";

export function render() {
  const table = tableOf(stageIndex());
  const all = table ? rowsOf(table) : [];
  const unfaceted = all.filter((row) => matches(row, view.state));
  renderFacets(unfaceted);
  view.shown = sorted(
    view.state.verdict.length === 0
      ? unfaceted
      : unfaceted.filter((row) => row.verdict && view.state.verdict.includes(row.verdict.key)),
  );
  const pages = Math.max(1, Math.ceil(view.shown.length / pageSize));
  if (view.state.latent !== undefined) {
    const at = view.shown.findIndex((row) => row.id === view.state.latent);
    if (at >= 0) {
      view.state.page = Math.floor(at / pageSize);
      view.focused = at % pageSize;
    }
  }
  view.state.page = Math.min(view.state.page, pages - 1);
  const from = view.state.page * pageSize;
  const visible = view.shown.slice(from, from + pageSize);
  view.focused = Math.min(view.focused, Math.max(0, visible.length - 1));
  $("rows").replaceChildren(
    ...(visible.length > 0
      ? visible.flatMap((row, at) => latentRow(row, at))
      : [
          make(
            "tr",
            {},
            make(
              "td",
              { colSpan: 9, class: "dim" },
              table ? "No latent is like that." : "The latents of this stage are not there yet.",
            ),
          ),
        ]),
  );
  $("count").textContent =
    view.shown.length === all.length
      ? `${count(all.length)} latents`
      : `${count(view.shown.length)} of ${count(all.length)} latents`;
  $("order").textContent = view.state.sort
    ? ""
    : table && !table.compared
      ? "most frequent first"
      : "worst first";
  $("page").textContent =
    view.shown.length === 0
      ? ""
      : `${count(from + 1)}–${count(from + visible.length)} of ${count(view.shown.length)}`;
  $("previous").disabled = view.state.page === 0;
  $("next").disabled = view.state.page >= pages - 1;
  const [key, direction] = view.state.sort.split(":");
  for (const head of document.querySelectorAll("#table th[data-key]")) {
    if (head.dataset.key === key)
      head.setAttribute("aria-sort", direction === "asc" ? "ascending" : "descending");
    else head.removeAttribute("aria-sort");
  }
}

function renderFacets(rows) {
  const counts = new Map();
  for (const { verdict } of rows)
    if (verdict) counts.set(verdict.key, (counts.get(verdict.key) ?? 0) + 1);
  $("facets").replaceChildren(
    ...data.verdicts
      .filter(({ key }) => counts.has(key) || view.state.verdict.includes(key))
      .map(({ key, label, colour, meaning }) =>
        make(
          "button",
          {
            type: "button",
            class: `c-${colour}`,
            title: meaning,
            "data-facet": key,
            "aria-pressed": String(view.state.verdict.includes(key)),
          },
          make("i", { class: "dot" }),
          label,
          make("b", {}, count(counts.get(key) ?? 0)),
        ),
      ),
  );
}

export function showStage() {
  for (const element of document.querySelectorAll("[data-stage]")) {
    element.classList.toggle("shown", element.dataset.stage === view.state.stage);
  }
  for (const pill of document.querySelectorAll("[data-go]")) {
    pill.setAttribute("aria-pressed", String(pill.dataset.go === view.state.stage));
  }
  const table = tableOf(stageIndex());
  const origins = [...new Set(table?.lineage ?? [])].filter(Boolean).sort();
  const select = $("lineage");
  select.replaceChildren(
    make("option", { value: "" }, "any origin"),
    ...origins.map((name) => make("option", { value: name }, `from ${name.replace("-", " ")}`)),
  );
  select.hidden = origins.length < 2;
  if (!origins.includes(view.state.lineage)) view.state.lineage = "";
  syncControls();
}

export function syncControls() {
  $("search").value = view.state.q;
  $("density").value = view.state.density;
  $("lineage").value = view.state.lineage;
}

export function change(update, keepPage = false) {
  view.state = { ...view.state, ...(keepPage ? {} : { page: 0, latent: undefined }), ...update };
  if (!keepPage) view.focused = 0;
  render();
  remember();
}

export function toggle(id) {
  if (view.open.has(id)) view.open.delete(id);
  else view.open.add(id);
  const at = view.shown.findIndex((row) => row.id === id);
  view.focused = at % pageSize;
  change({ latent: view.open.has(id) ? id : undefined }, true);
  focusRow();
}

export function focusRow() {
  const buttons = $("rows").querySelectorAll(".open-row");
  buttons.forEach((button, at) => {
    button.tabIndex = at === view.focused ? 0 : -1;
  });
  buttons[view.focused]?.focus();
}

/** Shows one latent of a stage, with everything else cleared. */
export function jump(stage, id) {
  view.state = { ...initial, stage, latent: id };
  view.open = new Set([id]);
  showStage();
  render();
  remember();
  $("rows").querySelector("tr.open")?.scrollIntoView({ block: "center" });
  focusRow();
}

export function csv() {
  const table = tableOf(stageIndex());
  if (!table) return;
  const names = Object.keys(table.measures);
  // a text that a spreadsheet would take for a formula is marked as text
  const text = (value) => {
    const safe = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
    return `"${safe.replaceAll('"', '""')}"`;
  };
  const plain = (value) => (value === null || value === undefined ? "" : String(value));
  const head = [
    "side",
    "latent",
    "verdict",
    "detail",
    "match",
    "lineage",
    "firings_parent",
    "firings_child",
    "density_before",
    "density_after",
    ...names,
    "top_context",
  ];
  const lines = view.shown.map((row) => {
    const context = row.own?.contexts[row.latent]?.[0];
    return [
      row.isChild ? "child" : "parent",
      row.latent,
      text(row.verdict?.key ?? ""),
      text(table.detail[row.i] ?? ""),
      table.match[row.i] < 0 ? "" : table.match[row.i],
      text(row.lineage),
      plain(table.firings_parent[row.i]),
      plain(table.firings_child[row.i]),
      plain(row.density_before),
      plain(row.density_after),
      ...names.map((name) => plain(table.measures[name][row.i])),
      text(context ? context[2].map((id) => data.tokens[id]).join("") : ""),
    ].join(",");
  });
  const file = URL.createObjectURL(
    new Blob([`${head.join(",")}\n${lines.join("\n")}\n`], { type: "text/csv" }),
  );
  make("a", { href: file, download: `latents-${view.state.stage}.csv` }).click();
  setTimeout(() => URL.revokeObjectURL(file), 10_000);
}

export function copy(text, button) {
  const label = button.textContent;
  const done = () => {
    button.textContent = "Copied";
    setTimeout(() => {
      button.textContent = label;
    }, 1500);
  };
  const byHand = () => {
    const area = make("textarea", { value: text });
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
    done();
  };
  if (navigator.clipboard) navigator.clipboard.writeText(text).then(done, byHand);
  else byHand();
}

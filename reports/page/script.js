// The report's table of latents, stage picker and switches. Plain JavaScript, no request, no markup
// made from strings: whatever comes from a token is only ever set as text.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const $ = (id) => document.getElementById(id);
  const pageSize = 40;
  const verdictKeys = data.verdicts.map(({ key }) => key);

  /** One element; properties are set as properties, children as text or nodes. */
  const make = (tag, properties = {}, ...children) => {
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
  const minus = (text) => text.replace(/^-/, "−");
  const decimal = (value) =>
    value === null || value === undefined ? "–" : minus(value.toFixed(2));
  const percent = (share) => {
    if (share === null || share === undefined) return "–";
    const size = share * 100;
    return `${size.toFixed(size === 0 || size >= 9.95 ? 0 : size >= 0.995 ? 1 : 2)}%`;
  };
  const count = (n) => String(n).replace(/\B(?=(\d{3})+$)/g, ",");

  // state: everything a link can hold
  const initial = {
    stage: data.shown,
    q: "",
    verdict: [],
    density: "",
    lineage: "",
    sort: "",
    page: 0,
  };
  let state = { ...initial, ...fromHash() };
  let open = new Set();
  let shown = [];
  let focused = 0;

  function fromHash() {
    const hash = location.hash.slice(1);
    if (!hash.includes("=")) return {};
    const given = new URLSearchParams(hash);
    const found = {};
    if (data.stages.some(({ name }) => name === given.get("stage")))
      found.stage = given.get("stage");
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
      if (state[key]) parts.set(key, state[key]);
    }
    if (state.verdict.length > 0) parts.set("verdict", state.verdict.join(","));
    if (parts.size === 1 && state.stage === data.shown) return "";
    return `#${parts.toString().replaceAll("%2C", ",")}`;
  }

  function remember() {
    const hash = toHash();
    if (hash !== location.hash) history.replaceState(null, "", hash || location.pathname);
  }

  // the rows of the stage in view
  const stageIndex = () => data.stages.findIndex(({ name }) => name === state.stage);
  const tableOf = (index) => data.tables.find((table) => table.stage === index);

  function rowsOf(table) {
    if (table.rows) return table.rows;
    const child = data.stages[table.stage].features;
    const parent = table.compared ? (data.stages[table.stage - 1]?.features ?? null) : null;
    const measure = (name, i) => table.measures[name]?.[i] ?? null;
    table.rows = table.latent.map((latent, i) => {
      const isChild = table.side[i] === 1;
      const match = table.match[i];
      const [before, after] = isChild ? [match, latent] : [latent, match];
      const contains = [measure("contain_pc", i), measure("contain_cp", i)].filter(
        (v) => v !== null,
      );
      return {
        i,
        id: `${isChild && table.compared ? "c" : ""}${latent}`,
        latent,
        isChild,
        before: isChild && !table.compared ? -1 : before,
        after,
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

  function matches(row, { q, density, lineage }) {
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

  function sorted(rows) {
    const [key, direction] = state.sort.split(":");
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

  // tokens and contexts
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

  function contextLine([doc, pos, ids, firing], colour, max) {
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

  function logitLine(label, pairs) {
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

  // one row and its detail
  function latentRow(row, position) {
    const isOpen = open.has(row.id);
    const colour = row.verdict?.colour ?? "persisted";
    const number = (value, kind = "") => make("td", { class: `n ${kind}` }, value);
    const first = row.own?.contexts[row.latent]?.[0];
    const line = make(
      "tr",
      { class: `latent${isOpen ? " open" : ""}`, "data-id": row.id },
      make(
        "td",
        { class: "n" },
        make(
          "button",
          {
            type: "button",
            class: "open-row",
            "aria-expanded": String(isOpen),
            tabIndex: position === focused ? 0 : -1,
          },
          row.isChild && row.verdict ? `+${row.latent}` : String(row.latent),
        ),
      ),
      make(
        "td",
        {},
        row.verdict ? make("span", { class: `chip c-${colour}` }, row.verdict.label) : "–",
      ),
      number(decimal(row.corr)),
      number(decimal(row.cos), "far"),
      number(decimal(row.contain), "far"),
      number(row.fresh_rate === null ? "–" : percent(row.fresh_rate), "far"),
      number(percent(row.density_before), "far"),
      number(percent(row.density_after), "far"),
      make(
        "td",
        { class: "tok" },
        first ? contextLine(first, colour, row.own.max[row.latent]) : "",
      ),
    );
    return isOpen ? [line, detailRow(row, colour)] : [line];
  }

  function detailRow(row, colour) {
    const table = tableOf(stageIndex());
    const index = table.stage;
    const sides = [];
    if (table.compared) {
      sides.push(
        latentPane(
          "Parent",
          index - 1,
          row.before,
          row.isChild ? "unknown" : colour,
          row.isChild ? "no ancestor; nearest is" : "",
        ),
      );
      sides.push(
        latentPane(
          "Child",
          index,
          row.after,
          row.isChild ? colour : "persisted",
          row.isChild ? "" : "best match",
        ),
      );
    } else sides.push(latentPane("", index, row.latent, colour, ""));
    const cell = make("td", { colSpan: 9 }, make("div", { class: "two" }, ...sides));
    if (table.compared) cell.append(evidence(row, table));
    return make("tr", { class: "detail" }, cell);
  }

  function latentPane(side, index, latent, colour, note) {
    const stage = data.stages[index];
    const { features } = stage ?? {};
    const title = make("h4", {}, side ? `${side}, ` : "");
    if (latent < 0) {
      title.append("nothing correlates with it");
      return make("div", {}, title);
    }
    title.append(make("b", {}, `latent ${latent}`), ` of ${stage.label}`, note ? ` (${note})` : "");
    if (features) {
      title.append(
        `: fires on ${percent(features.density[latent])} of tokens, up to ${decimal(features.max[latent])}`,
      );
    }
    const contexts = features?.contexts[latent] ?? [];
    return make(
      "div",
      {},
      title,
      ...contexts.map((context) => contextLine(context, colour, features.max[latent])),
      contexts.length === 0 ? make("p", { class: "tokens" }, "no contexts on this page") : null,
      logitLine("speaks for", features?.top[latent]),
      logitLine("against", features?.bottom[latent]),
    );
  }

  function evidence(row, table) {
    const m = (name) => table.measures[name]?.[row.i] ?? null;
    const { thresholds } = table;
    const list = make("dl", { class: "why" });
    const add = (term, ...what) => list.append(make("dt", {}, term), make("dd", {}, ...what));
    add(
      "verdict",
      `${row.verdict?.label ?? "none"}: ${table.detail[row.i] || row.verdict?.meaning || ""}`,
    );
    if (m("corr") !== null) {
      const chance = m("null_corr_p99");
      const tau = thresholds && Math.max(thresholds.correlation, chance ?? 0);
      add(
        "function",
        `r ${decimal(m("corr"))}${tau ? ` against τ ${decimal(tau)}` : ""}${chance === null ? "" : ` (null ${decimal(chance)})`}; strong containment ${decimal(m("contain_pc"))} ↔ ${decimal(m("contain_cp"))}; Jaccard ${decimal(m("jaccard"))}`,
      );
    }
    if (m("cos") !== null) {
      add(
        "direction",
        `decoder cosine ${decimal(m("cos"))}${thresholds ? ` against τ ${decimal(thresholds.cosine)}` : ""} in the mapped frame; encoder ${decimal(m("enc_cos"))}; whitened ${decimal(m("cos_whitened"))}`,
      );
    }
    const probe = m("probe_r2");
    if (row.fresh_rate !== null || probe !== null) {
      add(
        "witness",
        [
          row.fresh_rate === null
            ? ""
            : `found by ${percent(row.fresh_rate)} of the fresh SAEs on the child`,
          probe === null ? "" : `a probe on the other model reads it with R² ${decimal(probe)}`,
        ]
          .filter(Boolean)
          .join("; "),
      );
    }
    add(
      "firings",
      `${count(table.firings_parent[row.i])} in the parent, ${count(table.firings_child[row.i])} in the child${m("q") === null ? "" : `; q ${m("q") < 0.001 ? "< 0.001" : m("q").toFixed(3)}`}`,
    );
    const trail = trailOf(row, table.stage);
    if (trail.length > 1) {
      const line = make("dd", { class: "trail" });
      trail.forEach((step, at) => {
        if (at > 0) line.append(" → ");
        const text = `${data.stages[step.stage].label}${step.verdict ? ` ${step.verdict.label.toLowerCase()}` : ""}`;
        if (step.id === null || step.stage === table.stage) line.append(text);
        else
          line.append(
            make(
              "button",
              { type: "button", "data-jump": `${data.stages[step.stage].name}/${step.id}` },
              text,
            ),
          );
      });
      list.append(make("dt", {}, "through the run"), line);
    }
    const link = make(
      "button",
      { type: "button", "data-link": row.id },
      "copy a link to this latent",
    );
    list.append(make("dt", {}, "link"), make("dd", { class: "trail" }, link));
    return list;
  }

  const kept = (verdict) =>
    verdict &&
    ["persisted", "carried_only", "drifted_direction", "drifted_meaning"].includes(verdict.key);

  /** The latent's way through the stages, both directions, as far as it has heirs. */
  function trailOf(row, stage) {
    const steps = [{ stage, id: row.id, verdict: row.verdict }];
    let latent = row.isChild ? -1 : row.latent;
    for (let s = stage - 1; s >= 1 && latent >= 0; s--) {
      const before = rowsOf(tableOf(s) ?? { rows: [] });
      const parent =
        before.find((r) => !r.isChild && r.after === latent && kept(r.verdict)) ??
        before.find((r) => r.isChild && r.latent === latent);
      if (!parent) break;
      steps.unshift({ stage: s, id: parent.id, verdict: parent.verdict });
      latent = parent.isChild ? -1 : parent.latent;
    }
    if (latent >= 0 && steps[0].stage === 1) steps.unshift({ stage: 0, id: null, verdict: null });
    latent = row.isChild || kept(row.verdict) ? row.after : -1;
    for (let s = stage + 1; s < data.stages.length && latent >= 0; s++) {
      const next = rowsOf(tableOf(s) ?? { rows: [] }).find(
        (r) => !r.isChild && r.latent === latent,
      );
      if (!next) break;
      steps.push({ stage: s, id: next.id, verdict: next.verdict });
      latent = kept(next.verdict) ? next.after : -1;
    }
    return steps;
  }

  // drawing the table
  function render() {
    const table = tableOf(stageIndex());
    const all = table ? rowsOf(table) : [];
    const unfaceted = all.filter((row) => matches(row, state));
    renderFacets(unfaceted);
    shown = sorted(
      state.verdict.length === 0
        ? unfaceted
        : unfaceted.filter((row) => row.verdict && state.verdict.includes(row.verdict.key)),
    );
    const pages = Math.max(1, Math.ceil(shown.length / pageSize));
    if (state.latent !== undefined) {
      const at = shown.findIndex((row) => row.id === state.latent);
      if (at >= 0) {
        state.page = Math.floor(at / pageSize);
        focused = at % pageSize;
      }
    }
    state.page = Math.min(state.page, pages - 1);
    const from = state.page * pageSize;
    const visible = shown.slice(from, from + pageSize);
    focused = Math.min(focused, Math.max(0, visible.length - 1));
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
      shown.length === all.length
        ? `${count(all.length)} latents`
        : `${count(shown.length)} of ${count(all.length)} latents`;
    $("order").textContent = state.sort
      ? ""
      : table && !table.compared
        ? "most frequent first"
        : "worst first";
    $("page").textContent =
      shown.length === 0
        ? ""
        : `${count(from + 1)}–${count(from + visible.length)} of ${count(shown.length)}`;
    $("previous").disabled = state.page === 0;
    $("next").disabled = state.page >= pages - 1;
    const [key, direction] = state.sort.split(":");
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
        .filter(({ key }) => counts.has(key) || state.verdict.includes(key))
        .map(({ key, label, colour, meaning }) =>
          make(
            "button",
            {
              type: "button",
              class: `c-${colour}`,
              title: meaning,
              "data-facet": key,
              "aria-pressed": String(state.verdict.includes(key)),
            },
            make("i", { class: "dot" }),
            label,
            make("b", {}, count(counts.get(key) ?? 0)),
          ),
        ),
    );
  }

  function showStage() {
    for (const element of document.querySelectorAll("[data-stage]")) {
      element.classList.toggle("shown", element.dataset.stage === state.stage);
    }
    for (const pill of document.querySelectorAll("[data-go]")) {
      pill.setAttribute("aria-pressed", String(pill.dataset.go === state.stage));
    }
    const table = tableOf(stageIndex());
    const origins = [...new Set(table?.lineage ?? [])].filter(Boolean).sort();
    const select = $("lineage");
    select.replaceChildren(
      make("option", { value: "" }, "any origin"),
      ...origins.map((name) => make("option", { value: name }, `from ${name.replace("-", " ")}`)),
    );
    select.hidden = origins.length < 2;
    if (!origins.includes(state.lineage)) state.lineage = "";
    syncControls();
  }

  function syncControls() {
    $("search").value = state.q;
    $("density").value = state.density;
    $("lineage").value = state.lineage;
  }

  function change(update, keepPage = false) {
    state = { ...state, ...(keepPage ? {} : { page: 0, latent: undefined }), ...update };
    if (!keepPage) focused = 0;
    render();
    remember();
  }

  function toggle(id) {
    if (open.has(id)) open.delete(id);
    else open.add(id);
    const at = shown.findIndex((row) => row.id === id);
    focused = at % pageSize;
    change({ latent: open.has(id) ? id : undefined }, true);
    focusRow();
  }

  function focusRow() {
    const buttons = $("rows").querySelectorAll(".open-row");
    buttons.forEach((button, at) => {
      button.tabIndex = at === focused ? 0 : -1;
    });
    buttons[focused]?.focus();
  }

  /** Shows one latent of a stage, with everything else cleared. */
  function jump(stage, id) {
    state = { ...initial, stage, latent: id };
    open = new Set([id]);
    showStage();
    render();
    remember();
    $("rows").querySelector("tr.open")?.scrollIntoView({ block: "center" });
    focusRow();
  }

  function csv() {
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
    const lines = shown.map((row) => {
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
    make("a", { href: file, download: `latents-${state.stage}.csv` }).click();
    setTimeout(() => URL.revokeObjectURL(file), 10_000);
  }

  function copy(text, button) {
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

  // what people do
  document.addEventListener("click", (event) => {
    const target = event.target.closest("button, a, tr.latent");
    if (!target) return;
    const { dataset } = target;
    if (dataset.go) {
      open = new Set();
      state = { ...state, stage: dataset.go, verdict: [], lineage: "", page: 0, latent: undefined };
      showStage();
      change({});
    } else if (dataset.facet) {
      const chosen = state.verdict.includes(dataset.facet)
        ? state.verdict.filter((key) => key !== dataset.facet)
        : [...state.verdict, dataset.facet];
      change({ verdict: chosen });
      $("facets").querySelector(`[data-facet="${dataset.facet}"]`)?.focus();
    } else if (dataset.view) {
      const card = target.closest(".views");
      for (const button of card.querySelectorAll("[data-view]"))
        button.setAttribute("aria-pressed", String(button === target));
      for (const view of card.querySelectorAll("[data-view-of]"))
        view.classList.toggle("shown", view.dataset.viewOf === dataset.view);
    } else if (dataset.jump) {
      const [stage, id] = dataset.jump.split("/");
      jump(stage, id);
    } else if (dataset.link) {
      state.latent = dataset.link;
      remember();
      copy(location.href, target);
    } else if (dataset.copy) copy($(dataset.copy).textContent, target);
    else if (target.id === "theme") nextTheme(target);
    else if (target.id === "reset") {
      open = new Set();
      state = { ...initial, stage: state.stage };
      syncControls();
      change({});
    } else if (target.id === "csv") csv();
    else if (target.id === "previous") change({ page: state.page - 1, latent: undefined }, true);
    else if (target.id === "next") change({ page: state.page + 1, latent: undefined }, true);
    else if (target.closest("#table th[data-key]")) {
      const { key } = target.closest("th").dataset;
      const [current, direction] = state.sort.split(":");
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
    if (event.key === "Escape" && event.target.id === "search" && state.q !== "") {
      state.q = "";
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
      ArrowDown: focused + 1,
      j: focused + 1,
      ArrowUp: focused - 1,
      k: focused - 1,
      Home: 0,
      End: last,
    };
    if (event.key in moves) {
      event.preventDefault();
      focused = Math.max(0, Math.min(last, moves[event.key]));
      focusRow();
    } else if (event.key === "Escape" && open.size > 0) {
      open = new Set();
      change({ latent: undefined }, true);
      focusRow();
    } else if (event.key === "PageDown" && !$("next").disabled) {
      event.preventDefault();
      change({ page: state.page + 1, latent: undefined }, true);
      focusRow();
    } else if (event.key === "PageUp" && !$("previous").disabled) {
      event.preventDefault();
      change({ page: state.page - 1, latent: undefined }, true);
      focusRow();
    }
  });
  addEventListener("hashchange", () => {
    const given = fromHash();
    if (given.latent !== undefined) jump(given.stage ?? state.stage, given.latent);
    else if (Object.keys(given).length > 0) {
      state = { ...initial, ...given };
      showStage();
      change({});
    }
  });

  if (state.latent !== undefined) open.add(state.latent);
  showStage();
  render();
  if (state.latent !== undefined) {
    $("rows").querySelector("tr.open")?.scrollIntoView({ block: "center" });
  }
})();

// One latent: its row, its detail with parent and child side by side, its evidence, its way through the stages.
import { rowsOf, stageIndex, tableOf } from "./rows.js";
import { count, data, decimal, make, percent, view } from "./state.js";
import { contextLine, logitLine } from "./tokens.js";

export function latentRow(row, position) {
  const isOpen = view.open.has(row.id);
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
          tabIndex: position === view.focused ? 0 : -1,
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
    make("td", { class: "tok" }, first ? contextLine(first, colour, row.own.max[row.latent]) : ""),
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
        row.isChild ? "" : matchNote(row, table),
      ),
    );
    row.others.forEach((other, at) => {
      sides.push(latentPane("Child", index, other, "persisted", pieceNote(row, at + 1)));
    });
  } else sides.push(latentPane("", index, row.latent, colour, ""));
  const cell = make("td", { colSpan: 9 }, make("div", { class: "two" }, ...sides));
  if (table.compared) cell.append(evidence(row, table));
  return make("tr", { class: "detail" }, cell);
}

/** What the first child latent of a parent's row is to it. */
function matchNote(row, table) {
  const inSet = (table.measures.set_r2?.[row.i] ?? null) !== null;
  if (row.verdict?.key === "merged" && inSet) return "shared with other parent latents";
  return row.others.length > 0 ? pieceNote(row, 0) : "best match";
}

function pieceNote(row, at) {
  return row.verdict?.key === "absorbed" && at > 0
    ? "took part of its firings"
    : `piece ${at + 1} of ${row.others.length + 1}`;
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
  if (m("set_r2") !== null) {
    const q = m("set_q");
    const fresh = m("set_fresh_rate");
    const seeds = m("set_seed_rate");
    add(
      row.verdict?.key === "merged" ? "merged set" : "pieces",
      [
        `together R² ${decimal(m("set_r2"))}, ${decimal(m("set_gain"))} above the best single latent (null ${decimal(m("null_gain_p99"))}${q === null ? "" : `; q ${q < 0.001 ? "< 0.001" : q.toFixed(3)}`})`,
        `they cover ${percent(m("set_coverage"))} of the strong firings`,
        fresh === null ? "" : `the same in ${percent(fresh)} of the fresh SAEs on the child`,
        seeds === null ? "" : `and in ${percent(seeds)} of those on the parent`,
      ]
        .filter(Boolean)
        .join("; "),
    );
  }
  if (m("beta") !== null) {
    add(
      "scaling",
      `when it fires, the child writes its direction ${decimal(m("beta"))} times as strongly as the parent`,
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
    const next = rowsOf(tableOf(s) ?? { rows: [] }).find((r) => !r.isChild && r.latent === latent);
    if (!next) break;
    steps.push({ stage: s, id: next.id, verdict: next.verdict });
    latent = kept(next.verdict) ? next.after : -1;
  }
  return steps;
}

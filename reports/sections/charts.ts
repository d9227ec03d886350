/** The figures of the run and of each stage. */
import { curvesChart } from "../charts/curves-chart.ts";
import type { Drawing } from "../charts/drawing.ts";
import { flowChart } from "../charts/flow.ts";
import { histogramChart } from "../charts/histogram-chart.ts";
import { intervalChart } from "../charts/interval-chart.ts";
import { panelsChart } from "../charts/panels-chart.ts";
import { scatterChart } from "../charts/scatter-chart.ts";
import { html, type Markup } from "../page/html.ts";
import type { RunData } from "../run-data.ts";
import { cellRows } from "../view/cells.ts";
import { evidencePoints } from "../view/evidence-points.ts";
import { fatesView, throughAll } from "../view/fates.ts";
import { count, decimal, percent } from "../view/format.ts";
import { correlationHistogram, cosineHistogram } from "../view/histograms.ts";
import { continuationRows, turnedRows } from "../view/inertia-tests.ts";
import { likenessCurves, likenessSentence } from "../view/likeness-curves.ts";
import { lossCurves } from "../view/loss-curves.ts";
import { saeCurves } from "../view/sae-curves.ts";
import { saePanels } from "../view/sae-panels.ts";
import { stageLabel, transition } from "../view/stages.ts";
import { survivalView } from "../view/survival.ts";
import { drawings, figure } from "./figure.ts";

/** All figures, those of the whole run first. */
export function charts(run: RunData, drawing: Drawing, shown: number): Markup {
  return html`<section class="figures" aria-label="Figures">
${fatesFigure(run, drawing)}
${survivalFigure(run, drawing)}
${run.stages.map((_, index) => cellsFigure(run, drawing, index, index === shown))}
${lossFigure(run, drawing)}
${run.stages.map((_, index) => likenessFigure(run, drawing, index, index === shown))}
${run.stages.map((_, index) => stageFigures(run, drawing, index, index === shown))}
${run.stages.map((_, index) => trainingFigure(run, drawing, index, index === shown))}
</section>`;
}

function fatesFigure(run: RunData, drawing: Drawing): Markup | null {
  const view = fatesView(run);
  if (view === null) return null;
  const last = view.columns.length - 1;
  const through = throughAll(run, last);
  const kept =
    through && last > 1
      ? ` Of ${count(through.eligible)} base features that can be judged, ${count(through.kept)} (${percent(through.eligible === 0 ? null : through.kept / through.eligible)}) have a confirmed heir at every stage.`
      : "";
  return figure({
    title: "Where the features went",
    caption: `The carried SAE, after training on. Each verdict rests on function, direction and a witness; heirs and newcomers of one stage are the parents of the next.${kept}`,
    draw: (width) => flowChart(drawing, view, width),
    isWide: true,
  });
}

function survivalFigure(run: RunData, drawing: Drawing): Markup | null {
  const view = survivalView(run);
  if (view === null) return null;
  const halves =
    view.halfLives.length === 0
      ? ""
      : ` At a constant risk per token half of them would be gone after: ${view.halfLives.join("; ")}.`;
  return figure({
    title: "How long base features last",
    caption: `Share of ${count(view.features)} base features that can be judged, followed from match to match. The truth lies between: whatever the rule leaves undecided counts as lost in the lower figure and leaves the count in the upper one.${halves}`,
    draw: (width) =>
      intervalChart(drawing, view.rows, width, { label: "Survival of base features by stage" }),
  });
}

function cellsFigure(
  run: RunData,
  drawing: Drawing,
  index: number,
  isShown: boolean,
): Markup | null {
  const stage = run.stages[index];
  const rows = cellRows(stage.persistence);
  if (rows === null) return null;
  const isWhole = rows.some(({ code }) => code === "CS");
  return figure({
    title: "How much of that is inheritance",
    caption: isWhole
      ? html`Share of features with a function match; ring: with a match alone. Solid bar: gained over what <em>any</em> such model learns; pale: up to the ceiling, the unchanged parent.`
      : "Share of features with a function match; ring: with a match alone. The from-scratch controls run at the last stage only.",
    draw: (width) =>
      intervalChart(drawing, rows, width, { label: "The two by two with ceilings and floor" }),
    stage: stage.name,
    isShown,
  });
}

/** The SAEs of a stage in training; null where none was trained. */
export function trainingFigure(
  run: RunData,
  drawing: Drawing,
  index: number,
  isShown: boolean,
): Markup | null {
  const saes = saePanels(run, index);
  if (saes.length === 0) return null;
  return figure({
    title: saes.length === 1 ? "The SAE in training" : "The SAEs in training",
    caption: `${run.activations === null ? `${stageLabel(run.stages[index].name)}: v` : "V"}ariance left unexplained in training batches (log scale), active latents a token, share of latents that have not fired for long, by tokens trained on.`,
    draw: (width) => panelsChart(drawing, saes, width),
    stage: run.stages[index].name,
    isShown,
    isWide: true,
  });
}

function lossFigure(run: RunData, drawing: Drawing): Markup | null {
  const byTokens = lossCurves(run, "tokens");
  if (byTokens === null) return null;
  const byFlops = lossCurves(run, "flops");
  const draw = (view: typeof byTokens, axis: string) => (width: number) =>
    curvesChart(drawing, view, width, {
      label: `Held-out loss by ${axis}`,
      axis,
      headroom: 0.35,
    });
  const controls =
    byFlops &&
    html`<div class="switch" role="group" aria-label="Along the axis"><button type="button" data-view="tokens" aria-pressed="true">tokens</button><button type="button" data-view="flops" aria-pressed="false">compute</button></div>`;
  return html`<figure class="card views">
<figcaption><div class="row"><h3>Held-out loss</h3>${controls}</div><p>Nats per token on documents never trained on; vertical: an expansion. Ancestors’ training is counted.</p></figcaption>
<div data-view-of="tokens" class="shown">${drawings(draw(byTokens, "training tokens"))}</div>
${byFlops && html`<div data-view-of="flops">${drawings(draw(byFlops, "training FLOPs"))}</div>`}
</figure>`;
}

function likenessFigure(
  run: RunData,
  drawing: Drawing,
  index: number,
  isShown: boolean,
): Markup | null {
  const view = likenessCurves(run, index);
  if (view === null) return null;
  const isWhole = view.series.some(({ label }) => label === "to scratch");
  return figure({
    title: isWhole ? "Like its parent, or like a model from scratch?" : "Like its parent?",
    caption: `What an SAE of one model reads from another, through a linear map fitted anew at each point: mean correlation, feature by feature. To its parent: the parent’s SAE on the grown model; in place: the carried SAE, untrained, through no fitted map.${
      isWhole
        ? " To scratch: the from-scratch model’s SAE on the grown model; scratch to parent: the parent’s SAE on a from-scratch model after as many tokens, what any such model shares."
        : ""
    } ${likenessSentence(run, index) ?? ""}`,
    draw: (width) =>
      curvesChart(drawing, view, width, {
        label: "Likeness to the parent and to the from-scratch model over training",
        axis: "tokens since the expansion",
      }),
    stage: run.stages[index].name,
    isShown,
  });
}

function stageFigures(
  run: RunData,
  drawing: Drawing,
  index: number,
  isShown: boolean,
): Markup | null {
  const stage = run.stages[index];
  const { persistence, verdicts, name } = stage;
  const correlations = correlationHistogram(persistence);
  const cosines = cosineHistogram(persistence);
  const points = evidencePoints(verdicts, persistence);
  const curves = saeCurves(run, index);
  const turned = turnedRows(persistence);
  const continued = continuationRows(persistence);
  const common = { stage: name, isShown };
  const where = index > 0 ? transition(run, index) : stageLabel(name);
  return html`${
    correlations &&
    figure({
      ...common,
      title: "Function: best correlation against its null",
      caption: `Each feature’s best match by activation on the same held-out tokens, ${where}.`,
      draw: (width) =>
        histogramChart(drawing, correlations, width, {
          label: "Best correlation per feature over its null",
          axis: "best correlation",
          bars: "persisted",
          line: "born",
        }),
    })
  }${
    cosines &&
    figure({
      ...common,
      title: "Direction: cosine to its own start",
      caption: inertiaCaption(
        persistence?.inertia.carried ?? null,
        persistence?.inertia.reinit ?? null,
      ),
      draw: (width) =>
        histogramChart(drawing, cosines, width, {
          label: "Cosine to the own start per feature over its null",
          axis: "cosine to where it started",
          bars: "carried",
          line: "died",
        }),
    })
  }${
    turned &&
    figure({
      ...common,
      title: "Do turned features come back?",
      caption: `Before training, ${count(persistence?.perturb_and_return?.turned ?? 0)} latents were turned by 45° to 60°. What the model has draws its latent back towards the parent’s direction; what only stayed by inertia stays where it was put, as on random weights. Way back: 0 = where they were put, 1 = where the same latents, never turned, ended. The shares within .9 say little where latents that were never turned move further than that themselves.`,
      draw: (width) =>
        intervalChart(drawing, turned, width, { label: "Where turned latents ended" }),
    })
  }${
    continued &&
    figure({
      ...common,
      title: "Does it wear off?",
      caption:
        "Share of features with a function match after the carried SAE trained on for longer. What the model keeps stays level; what is inertia falls.",
      draw: (width) =>
        intervalChart(drawing, continued, width, {
          label: "Function matches by length of training",
        }),
    })
  }${
    points &&
    figure({
      ...common,
      title: "Direction against function",
      caption:
        "One point per feature that can be judged. Only the upper right corner, with a witness, counts as persisted.",
      draw: (width) => scatterChart(drawing, points, width),
      after: html`<ul class="legend">${points.groups
        .toReversed()
        .map(
          ({ label, colour, points: own }) =>
            html`<li><i class="dot c-${colour}"></i>${label} <b>${count(own.length)}</b></li>`,
        )}</ul>`,
    })
  }${
    curves &&
    figure({
      ...common,
      title: index === 0 ? "The SAE against PCA" : "What the carry saves",
      caption:
        "Fraction of variance unexplained on the training batches, on a log scale, as the SAEs of this stage train.",
      draw: (width) =>
        curvesChart(drawing, curves, width, {
          label: "Fraction of variance unexplained while the SAEs train",
          axis: "SAE training tokens",
          log: true,
        }),
    })
  }`;
}

function inertiaCaption(carried: number | null, reinit: number | null): Markup {
  return html`How far decoders move while they train on.${
    carried !== null &&
    reinit !== null &&
    ` Above τ: ${decimal(carried)} of the carried, ${decimal(reinit)} on random weights. Inertia, not evidence, where the two agree.`
  }`;
}

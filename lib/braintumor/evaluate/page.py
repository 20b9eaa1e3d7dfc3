"""The report as one HTML file: no script, no font, no picture from elsewhere."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

from PIL import Image

from braintumor.domain import REGION_NAMES, EmptyPolicy, Region
from braintumor.evaluate.calibration import Reliability
from braintumor.evaluate.charts import dice_chart, reliability_chart
from braintumor.evaluate.metrics import CALIBRATION, EMPTY_MEANING, METRICS, Metric
from braintumor.evaluate.summary import CaseResult, Statistics, Table, grouped, measured, summarise

_STYLE = """
:root { color-scheme: light; --ink: #21252b; --muted: #6b7480; --line: #e4e7eb; --soft: #f6f7f9; }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 60rem; padding: 2.5rem 1.5rem 4rem; color: var(--ink); background: #fff;
  font: 15px/1.55 "Fira Sans", "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 .3rem; letter-spacing: -.01em; }
h2 { font-size: 1.15rem; margin: 2.6rem 0 .6rem; }
p { margin: .4rem 0; max-width: 46rem; } .muted, figcaption, caption { color: var(--muted); }
ul.notes { margin: .8rem 0; padding: .7rem 1rem .7rem 2rem; background: #fff8e6; border-left: 3px solid #d9a514; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; font-size: .9rem; }
th, td { padding: .38rem 0 .38rem .8rem; text-align: right; border-bottom: 1px solid var(--line); white-space: nowrap; }
th:first-child, td:first-child { text-align: left; padding-left: 0; } th { font-weight: 600; vertical-align: bottom; }
thead th { border-bottom: 1.5px solid var(--ink); white-space: normal; }
.second td { padding-top: .2rem; padding-bottom: .2rem; border: 0; } .second tr.first td { border-top: 1px solid var(--line); }
.second tr.first td:first-child { font-weight: 600; }
td small { color: var(--muted); font-size: .85em; } .main td { vertical-align: top; line-height: 1.35; }
.second td:nth-child(2), .second th:nth-child(2) { text-align: left; }
figure { margin: .8rem 0; } figure img, figure svg { width: 100%; height: auto; display: block; }
svg text { font-family: inherit; } figcaption { font-size: .85rem; margin-top: .4rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1.2rem; font-size: .9rem; }
dt { font-weight: 600; } dd { margin: 0; color: var(--muted); }
footer { margin-top: 3rem; padding-top: .8rem; border-top: 1px solid var(--line); color: var(--muted); font-size: .85rem; }
@media print { body { max-width: none; padding: 0; font-size: 10pt; } h2 { break-after: avoid; }
  figure, tr, dl { break-inside: avoid; } .scroll { overflow: visible; } table { font-size: 8pt; } @page { margin: 15mm; } }
"""

_MAIN = ("dice", "hd95", "surface_dice_1mm", "lesion_dice", "lesion_f1", "volume_error_ml")
_PER_CASE = ("dice", "hd95", "surface_dice_1mm", "lesion_dice", "volume_error_ml")


@dataclass(frozen=True, slots=True)
class EvaluationFacts:
    """What the page says about itself.

    Attributes
    ----------
    predictions, truth
        Names of folders or of the model; no path.
    created, software
        When, and by which version.
    policy
        For regions that the expert did not mark.
    scope
        Which voxels calibration counts, in words; empty without probabilities.
    notes
        What was left out or unusual.
    """

    predictions: str
    truth: str
    created: str
    software: str
    policy: EmptyPolicy
    scope: str = ""
    notes: tuple[str, ...] = ()


def page(
    facts: EvaluationFacts, results: Sequence[CaseResult], pooled: Mapping[Region, Reliability], worst: Image.Image | None
) -> str:
    """The whole report."""
    table = summarise(results)
    meaning = EMPTY_MEANING[facts.policy]
    title = f"{facts.predictions} against {facts.truth}"
    parts = [
        f"<h1>{escape(title)}</h1>",
        f'<p class="muted">Segmentation of {len(results)} {"case" if len(results) == 1 else "cases"} compared with the expert, '
        f"{escape(facts.created[:10])}. Research use only. Not a medical device.</p>",
        _notes(facts.notes),
        "<h2>Summary</h2>",
        _main_table(table),
        f'<p class="muted">Mean over cases, its 95 % bootstrap interval, and the median. {escape(meaning)}</p>',
        "<h2>Dice by region</h2>",
        _figure(
            dice_chart(results, table).svg(),
            "Diamond and line: mean and its 95 % interval. Box: quartiles and median, whiskers from the 5th to the 95th "
            "percentile. Each dot is a case; rest the mouse on it to see which.",
        ),
    ]
    if pooled:
        parts += [
            "<h2>Calibration</h2>",
            _figure(
                reliability_chart(pooled).svg(),
                f"All voxels of all cases, {escape(facts.scope)}, in 15 bins. On the dashed line, a probability of 0.7 is "
                "right seven times in ten; below it the model is too sure. Grey bars: voxels per bin, log scale.",
            ),
        ]
    if worst is not None:
        caption = "The cases with the lowest mean Dice, in the axial slice with most wrong voxels; patient's right on the left."
        parts += ["<h2>Worst cases</h2>", _figure(_embedded(worst, "Worst cases"), caption)]
    parts += [_groups(results), "<h2>All metrics</h2>", _all_metrics(table, measured(results))]
    parts += ["<h2>Cases</h2>", _cases(results), "<h2>Definitions</h2>", _definitions(bool(pooled))]
    parts.append(
        f"<footer>braintumor {escape(facts.software)}, {escape(facts.created)}. Empty regions: {facts.policy}.</footer>"
    )
    body = "\n".join(part for part in parts if part)
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{escape(title)}</title>'
    return f'<!doctype html>\n<html lang="en"><head>{head}<style>{_STYLE}</style></head>\n<body>\n{body}\n</body></html>\n'


def number(value: float | None, metric: Metric) -> str:
    """A value as people read it, without a negative zero; a dash where there is none."""
    return "-" if value is None else f"{round(value, metric.digits) + 0.0:.{metric.digits}f}"


def _notes(notes: Sequence[str]) -> str:
    return f'<ul class="notes">{"".join(f"<li>{escape(note)}</li>" for note in notes)}</ul>' if notes else ""


def _main_table(table: Table) -> str:
    metrics = [m for key in _MAIN for m in METRICS if m.key == key]
    head = "".join(f"<th>{_title(m)}</th>" for m in metrics)
    rows = []
    for region in Region:
        found = table[region]
        cells = "".join(f"<td>{_stacked(found[m.key], m)}</td>" for m in metrics)
        name = f"{REGION_NAMES[region]} ({region.value})"
        rows.append(f"<tr><td>{name}</td><td>{found['dice'].n}</td><td>{found['dice'].n_empty_truth}</td>{cells}</tr>")
    head = f"<tr><th>Region</th><th>Cases</th><th>Not marked<br>by expert</th>{head}</tr>"
    return f'<div class="scroll"><table class="main"><thead>{head}</thead><tbody>{"".join(rows)}</tbody></table></div>'


def _stacked(found: Statistics, metric: Metric) -> str:
    """Mean, interval and median below each other."""
    interval = "" if found.low is None else f"<br><small>{number(found.low, metric)} to {number(found.high, metric)}</small>"
    return f"<b>{number(found.mean, metric)}</b>{interval}<br><small>median {number(found.median, metric)}</small>"


def _mean(found: Statistics, metric: Metric) -> str:
    interval = "" if found.low is None else f"<br><small>{number(found.low, metric)} to {number(found.high, metric)}</small>"
    return f"{number(found.mean, metric)}{interval}"


def _all_metrics(table: Table, metrics: Sequence[Metric]) -> str:
    rows = []
    for region in Region:
        for n, metric in enumerate(metrics):
            found = table[region][metric.key]
            values = (found.mean, found.low, found.high, found.median, found.sd, found.minimum, found.maximum)
            cells = "".join(f"<td>{number(value, metric)}</td>" for value in values)
            first = ' class="first"' if n == 0 else ""
            name = region.value if n == 0 else ""
            rows.append(f"<tr{first}><td>{name}</td><td>{_title(metric)}</td><td>{found.n}</td>{cells}</tr>")
    head = "".join(
        f"<th>{word}</th>"
        for word in ("Region", "Metric", "n", "Mean", "95 % low", "high", "Median", "SD", "Minimum", "Maximum")
    )
    return (
        f'<div class="scroll"><table class="second"><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table></div>'
    )


def _cases(results: Sequence[CaseResult]) -> str:
    metrics = [m for key in _PER_CASE for m in METRICS if m.key == key]
    rows = []
    for result in results:
        for n, region in enumerate(Region):
            scores = result.scores[region]
            cells = "".join(f"<td>{number(scores.get(m.key), m)}</td>" for m in metrics)
            first, name = (' class="first"', escape(result.name)) if n == 0 else ("", "")
            volumes = "".join(f"<td>{scores[key] or 0.0:.1f}</td>" for key in ("truth_ml", "predicted_ml"))
            rows.append(f"<tr{first}><td>{name}</td><td>{region.value}</td>{volumes}{cells}</tr>")
    head = "<th>Case</th><th>Region</th><th>True mL</th><th>Predicted mL</th>" + "".join(
        f"<th>{_title(m)}</th>" for m in metrics
    )
    return (
        f'<div class="scroll"><table class="second"><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table></div>'
    )


def _groups(results: Sequence[CaseResult]) -> str:
    parts = []
    for column, values in grouped(results).items():
        rows = []
        for value, cases in values.items():
            table = summarise(cases)
            cells = ""
            for key in ("dice", "hd95"):
                metric = next(m for m in METRICS if m.key == key)
                cells += "".join(f"<td>{_mean(table[region][key], metric)}</td>" for region in Region)
            rows.append(f"<tr><td>{escape(value)}</td><td>{len(cases)}</td>{cells}</tr>")
        head = "".join(f"<th>{name} {region.value}</th>" for name in ("Dice", "HD95 mm") for region in Region)
        head = f"<tr><th>{escape(column)}</th><th>Cases</th>{head}</tr>"
        body = f"<table><thead>{head}</thead><tbody>{''.join(rows)}</tbody></table>"
        parts.append(f'<h2>By {escape(column)}</h2><div class="scroll">{body}</div>')
    return "\n".join(parts)


def _definitions(calibrated: bool) -> str:
    metrics = (*METRICS, *(CALIBRATION if calibrated else ()))
    rows = "".join(f"<dt>{_title(metric)}</dt><dd>{escape(metric.meaning)}.</dd>" for metric in metrics)
    return (
        f"<dl>{rows}</dl><p class='muted'>TP, FP, FN and TN count voxels on the expert's grid. HD95 and surface Dice: "
        "surface-distance (Nikolov et al. 2018). Lesion F1: panoptica (Kofler et al. 2023), components above 0.05 mL. Lesion "
        "Dice and HD95: the rule of BraTS 2023 for glioma.</p>"
    )


def _title(metric: Metric) -> str:
    return escape(f"{metric.title} ({metric.unit})" if metric.unit else metric.title).replace(" mm", "&nbsp;mm")


def _figure(content: str, caption: str) -> str:
    return f"<figure>{content}<figcaption>{caption}</figcaption></figure>"


def _embedded(image: Image.Image, alternative: str) -> str:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return f'<img alt="{alternative}" src="data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}">'

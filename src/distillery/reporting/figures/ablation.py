"""The figure of an ablation: accuracy over its first axis; the other axes tell groups apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from distillery.reporting import files
from distillery.reporting.figures import panels
from distillery.reporting.figures.model import ReportFigure
from distillery.reporting.figures.style import ACCURACY, GREY, Style, Styles, shades
from distillery.reporting.formatting import DASH, setting
from distillery.reporting.results.collected import LAST, AblationResults, Results
from distillery.reporting.statistics import seeds

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# A logarithmic axis pays when the largest value is so many times the smallest.
_LOG_FROM = 100
# Between groups that share a category, in units of the distance between categories.
_SIDE_STEP = 0.12


@dataclass(frozen=True)
class _Positions:
    """Where the variants lie on the x axis, and whether there is anything between them."""

    of: pd.Series
    are_continuous: bool


def draw(results: Results, name: str, styles: Styles) -> ReportFigure:
    """Draw an ablation in shades of its method's colour."""
    study = results.ablation(name)
    file, caption = (
        files.ablation(name),
        f"{study.title} ({study.subject}): test top-1 accuracy at the last epoch: mean and "
        "standard deviation over seeds, and single runs. The dotted line is the baseline.",
    )
    points = seeds.over_runs(study.runs, ["variant"], LAST)
    if points.empty:
        return ReportFigure(file, caption, panels.blank("There are no results."))
    figure, (panel,) = panels.grid(1, 4.2, 2.5)
    first, *others = study.axes
    positions = _arrange(
        panel, {key: values.get(first, DASH) for key, values in study.variants.items()}
    )
    names = {key: _describe(study, values, others) for key, values in study.variants.items()}
    groups = points.groupby(points["variant"].map(names), sort=False)
    group_styles = shades(styles.get(study.method, Style(GREY, "o", "-")), len(groups))
    handles = []
    for number, ((label, group), style) in enumerate(zip(groups, group_styles, strict=True)):
        line = style.dash if positions.are_continuous else "none"
        side_step = 0 if positions.are_continuous else _SIDE_STEP * (number - (len(groups) - 1) / 2)
        runs = study.runs[study.runs["variant"].isin(group["variant"])]
        _draw_group(panel, group, runs, positions.of + side_step, style, line)
        handles.append(panels.style_key(str(label), style, line=positions.are_continuous))
    if study.pair in results.baselines:
        panel.axhline(results.baselines[study.pair], color=GREY, ls=":", lw=1, zorder=1)
        handles.append(panels.legend_key(results.baseline_label, ls=":"))
    panels.name_axes([panel], study.axes[first], ACCURACY)
    panels.add_legend(figure, handles)
    return ReportFigure(file, caption, figure)


def _draw_group(
    panel: Axes,
    group: pd.DataFrame,
    runs: pd.DataFrame,
    positions: pd.Series,
    style: Style,
    line: Any,
) -> None:
    """Draw means with deviations, and the single runs a little to their right."""
    ordered = group.assign(position=group["variant"].map(positions)).sort_values("position")
    panel.errorbar(
        ordered["position"],
        ordered["mean"],
        yerr=ordered["std"],
        color=style.colour,
        ls=line,
        marker=style.marker,
        capsize=2,
        zorder=3,
    )
    panels.scatter(panel, runs["variant"].map(positions), runs[LAST], (4, 0), color=style.colour)


def _arrange(panel: Axes, values: Mapping[str, Any]) -> _Positions:
    """Set up the x axis for a setting.

    Numbers over two decades or more get a logarithmic axis; what is no number, or has a zero beside
    such numbers, gets equal steps.
    """
    if _is_continuous([*values.values()]):
        if _spans_decades([*values.values()]):
            _set_log_scale(panel, sorted(set(values.values())))
        return _Positions(pd.Series(values, dtype=float), True)
    texts = {key: setting(value) for key, value in values.items()}
    steps = {text: float(step) for step, text in enumerate(dict.fromkeys(texts.values()))}
    is_crowded = sum(map(len, steps)) > 45
    slant: dict[str, Any] = {"rotation": 25, "ha": "right", "rotation_mode": "anchor"}
    panel.set_xticks(list(steps.values()), list(steps), **(slant if is_crowded else {}))
    panel.set_xlim(-0.5, len(steps) - 0.5)
    return _Positions(pd.Series(texts).map(steps), False)


def _is_continuous(values: Sequence[Any]) -> bool:
    if not all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        return False
    return min(values) > 0 or not _spans_decades([value for value in values if value > 0])


def _spans_decades(numbers: Sequence[float]) -> bool:
    return bool(numbers) and min(numbers) > 0 and max(numbers) / min(numbers) >= _LOG_FROM


def _set_log_scale(panel: Axes, numbers: Sequence[float]) -> None:
    """Label the values themselves, where their labels do not overlap."""
    gap = (numbers[-1] / numbers[0]) ** 0.08
    ticks = [numbers[0]]
    for value in numbers[1:]:
        if value >= ticks[-1] * gap:
            ticks.append(value)
    panel.set_xscale("log")
    panel.minorticks_off()
    panel.set_xticks(ticks, [setting(tick) for tick in ticks])


def _describe(study: AblationResults, values: Mapping[str, Any], axes: Sequence[str]) -> str:
    """Name a group by its settings, or by the method where there is but one group."""
    described = (f"{study.axes[axis]} {setting(values[axis])}" for axis in axes if axis in values)
    return ", ".join(described) or study.label

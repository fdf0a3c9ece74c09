"""The figure of an ablation: accuracy over its first axis; the other axes tell groups apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from distillery.reporting import files
from distillery.reporting.figures import panels
from distillery.reporting.figures.model import ReportFigure
from distillery.reporting.figures.positions import arrange
from distillery.reporting.figures.style import ACCURACY, GREY, Style, Styles, shades
from distillery.reporting.formatting import DASH, of_one_seed, setting
from distillery.reporting.results.collected import LAST, AblationResults, Results
from distillery.reporting.statistics import seeds

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Between groups that share a category, in units of the distance between categories.
_SIDE_STEP = 0.12
# So many variants need the width of the text.
_MANY = 8


def draw(results: Results, name: str, styles: Styles) -> ReportFigure:
    """Draw an ablation in shades of its method's colour."""
    study = results.ablation(name)
    file, caption = (
        files.ablation(name),
        f"{study.title} ({study.subject}): test top-1 accuracy at the last epoch, mean over seeds "
        "with error bars of one standard deviation, and single runs. The dotted line is the "
        "baseline.",
    )
    points = seeds.over_runs(study.runs, ["variant"], LAST)
    if points["n"].max() == 1:
        caption = of_one_seed(caption)
    if points.empty:
        return ReportFigure(file, caption, panels.blank("There are no results."))
    figure, (panel,) = panels.grid(1, 2.1, wide=len(study.variants) > _MANY)
    first, *others = study.axes
    positions = arrange(
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


def _describe(study: AblationResults, values: Mapping[str, Any], axes: Sequence[str]) -> str:
    """Name a group by its settings, or by the method where there is but one group."""
    described = (f"{study.axes[axis]} {setting(values[axis])}" for axis in axes if axis in values)
    return ", ".join(described) or study.label

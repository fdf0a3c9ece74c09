"""Accuracy against the size of the networks, and against what their training took."""

from __future__ import annotations

from distillery.reporting.figures import panels
from distillery.reporting.figures.model import ReportFigure
from distillery.reporting.figures.points import draw_points, spread_of
from distillery.reporting.figures.style import ACCURACY, GREY, TEACHER_STYLE, Style, Styles
from distillery.reporting.results.collected import LAST, TEACHER, Results
from distillery.reporting.results.protocols import points

_MILLION, _MINUTE = 1e6, 60
# Share of the axis between two sizes that are labelled.
_APART = 0.2


def size(results: Results, styles: Styles) -> ReportFigure:
    """Draw accuracy against parameters: teacher, best student and baseline of each pair."""
    name, caption = (
        "size",
        "Test top-1 accuracy at the last epoch against the number of parameters, mean over seeds: "
        "a line joins each teacher to the best student of its pair; the grey bar spans the means "
        "of all methods, and a small dot on it is the baseline.",
    )
    known = [pair for pair in results.compared if _has_sizes(results, pair)]
    if not known:
        return ReportFigure(name, caption, panels.blank("The sizes of the networks are not known."))
    figure, (panel,) = panels.grid(1, 2.3)
    drawn: dict[str, Style] = {}
    sizes: list[float] = []
    for pair in known:
        settings, means = results.report.pairs[pair], results.means_of(pair)
        students = means.drop(TEACHER, errors="ignore")
        best = str(students.idxmax())
        x = (settings.student_parameters or 0) / _MILLION
        sizes.append(x)
        panel.plot([x, x], [students.min(), students.max()], color="0.75", lw=3, zorder=1)
        if results.baseline in students:
            panel.plot(x, students[results.baseline], "o", color=GREY, ms=2.5, zorder=2)
        if TEACHER in means:
            across = [x, (settings.teacher_parameters or 0) / _MILLION]
            sizes.append(across[1])
            panel.plot(across, [students.max(), means[TEACHER]], color="0.6", lw=0.6, zorder=1)
            panel.plot(
                across[1], means[TEACHER], color="black", marker=TEACHER_STYLE.marker, zorder=3
            )
        panel.plot(
            x, students.max(), color=styles[best].colour, marker=styles[best].marker, zorder=3
        )
        drawn[f"best student: {results.labels[best]}"] = styles[best]
    panels.log_axis(panel, sizes, "{:.3g}".format, _APART)
    panels.name_axes([panel], "Parameters (M)", ACCURACY)
    handles = [panels.style_key("teacher", TEACHER_STYLE, line=False)]
    handles += [panels.style_key(label, style, line=False) for label, style in drawn.items()]
    handles.append(panels.legend_key("all methods", color="0.75", lw=3))
    if results.baseline in results.methods:
        handles.append(panels.legend_key(results.baseline_label, ls="none", marker="o", ms=2.5))
    panels.add_legend(figure, handles)
    return ReportFigure(name, caption, figure)


def cost(results: Results, styles: Styles) -> ReportFigure:
    """Draw accuracy against the time of a training run, a panel for each pair."""
    students = results.students.assign(minutes=results.students["seconds"] / _MINUTE)
    return draw_points(
        results,
        "cost",
        "Test top-1 accuracy at the last epoch against the time that training a student took: "
        f"{spread_of(results)}. Runs may have shared their machine with others.",
        points(students, ["pair", "method"], "minutes", LAST),
        ("Training (min)", ACCURACY),
        styles,
        "No time was recorded.",
    )


def _has_sizes(results: Results, pair: str) -> bool:
    settings = results.report.pairs[pair]
    has_students = len(results.means_of(pair).drop(TEACHER, errors="ignore")) > 0
    return bool(settings.teacher_parameters and settings.student_parameters and has_students)

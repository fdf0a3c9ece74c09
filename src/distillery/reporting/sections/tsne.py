"""Section of the protocol ``tsne``: maps of test images, and numbers that do not depend on them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import pandas as pd

from distillery.reporting import files
from distillery.reporting.figures import layout, panels
from distillery.reporting.figures.model import ReportFigure
from distillery.reporting.figures.style import GREY, Styles
from distillery.reporting.results.collected import Results
from distillery.reporting.results.protocols import NetworkDetails, first_seeds
from distillery.reporting.sections.base import MetricsSection

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# One after the other for every ten classes.
_MARKERS = ("o", "^", "s", "D", "v", "P", "X")
_HEIGHT = 2.1
# More classes than these have no legend: it would be larger than the maps.
_MOST_NAMES = 20
# More than these make a vector file larger than a picture.
_MOST_VECTORS = 20_000


class TSNE(MetricsSection):
    """Silhouettes and accuracies of the nearest neighbours, and the maps of the first seeds."""

    title = "t-SNE"
    caption = (
        "How well classes are apart among the features of the test images, and on the maps that "
        "t-SNE draws of them: silhouette, and accuracy of the nearest neighbours. Mean ± standard "
        "deviation over seeds."
    )
    metrics: ClassVar[Mapping[str, str]] = {
        "silhouette": "Silhouette",
        "knn_accuracy": "k-NN accuracy (%)",
        "silhouette_map": "Silhouette on the map",
        "knn_accuracy_map": "k-NN accuracy on the map (%)",
        "teacher_knn_accuracy": "k-NN accuracy by the teacher’s features (%)",
    }

    def figures(self, results: Results, entry: str, styles: Styles) -> Iterator[ReportFigure]:
        """Yield the maps of the teacher and of each method."""
        pair, teachers, students = first_seeds(results, results.details(entry))
        name = files.section(entry)
        caption = (
            "t-SNE of the same test images by each network; colours are classes. The first seed of "
            f"{results.pairs[pair] if pair else 'a pair'}. Distances between clusters and their "
            "sizes mean nothing; the table has the numbers."
        )
        if not students:
            yield ReportFigure(name, caption, panels.blank("No maps were drawn."))
            return
        every = [*teachers, *students]
        networks = layout.that_fit(every, _HEIGHT)
        caption += layout.left_out(networks, len(every), "networks")
        points = pd.concat([details for _, details in networks])
        is_joint = bool((points["network"] == "teacher").any())
        if is_joint:
            caption = f"{caption} Crosses are the teacher’s features on the map of the student."
        yield ReportFigure(name, caption, _maps(networks, points, is_joint=is_joint))


def class_styles(labels: list[int]) -> dict[int, dict[str, Any]]:
    """Return colour and marker of each class: ten colours, then again with another marker."""
    import seaborn as sns

    palette = sns.color_palette("colorblind")
    return {
        label: {
            "color": palette[number % len(palette)],
            "marker": _MARKERS[number // len(palette) % len(_MARKERS)],
        }
        for number, label in enumerate(labels)
    }


def _maps(networks: Sequence[NetworkDetails], points: pd.DataFrame, *, is_joint: bool) -> Figure:
    """Draw a map in a panel for each network; ``points`` are those of all of them."""
    classes = points.drop_duplicates("label").sort_values("label")
    styles = class_styles(classes["label"].tolist())
    figure, grid = panels.grid(len(networks), _HEIGHT)
    for panel, (label, details) in zip(grid, networks, strict=True):
        _draw_map(panel, details, styles, is_picture=len(points) > _MOST_VECTORS)
        panels.set_title(panel, label)
    handles = [
        panels.legend_key(str(row["class"]), ls="none", **styles[row["label"]])
        for _, row in classes.iterrows()
        if len(classes) <= _MOST_NAMES
    ]
    if is_joint:
        handles.append(panels.legend_key("teacher", ls="none", marker="x", color=GREY))
    panels.add_legend(figure, handles)
    return figure


def _draw_map(
    panel: Axes, points: pd.DataFrame, styles: Mapping[int, dict[str, Any]], *, is_picture: bool
) -> None:
    for _, of_class in points.groupby(["network", "label"]):
        network, label = of_class[["network", "label"]].iloc[0]
        is_teacher = network == "teacher"
        panel.scatter(
            of_class["x"],
            of_class["y"],
            s=5,
            linewidths=0.5 if is_teacher else 0,
            alpha=0.8,
            rasterized=is_picture,
            **{**styles[label], **({"marker": "x"} if is_teacher else {})},
        )
    panels.hide_ticks(panel)

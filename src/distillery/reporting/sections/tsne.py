"""Section of the protocol ``tsne``: maps of test images, and numbers that do not depend on them."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd

from distillery.reporting import files
from distillery.reporting.drawing import (
    GREY,
    Drawing,
    Style,
    add_legend,
    blank,
    legend_key,
    panels,
)
from distillery.reporting.protocol_metrics import first_seeds
from distillery.reporting.protocol_tables import metrics_table
from distillery.reporting.results import Results
from distillery.reporting.table import Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes

TITLE = "t-SNE"
TABLES = ("",)
FIGURES = ("",)

_COLUMNS = {
    "silhouette": "Silhouette",
    "knn_accuracy": "k-NN accuracy (%)",
    "silhouette_map": "Silhouette on the map",
    "knn_accuracy_map": "k-NN accuracy on the map (%)",
    "teacher_knn_accuracy": "k-NN accuracy by the teacher’s features (%)",
}
# One after the other for every ten classes.
_MARKERS = ("o", "^", "s", "D", "v", "P", "X")
# More than these make a vector file larger than a picture.
_MOST_VECTORS = 20_000


def tables(results: Results, entry: str) -> list[Table]:
    """Return silhouettes and accuracies of the nearest neighbours of all networks."""
    caption = (
        "How well classes are apart among the features of the test images, and on the maps that "
        "t-SNE draws of them: silhouette, and accuracy of the nearest neighbours. Mean ± standard "
        "deviation over seeds."
    )
    return [metrics_table(results, entry, caption, _COLUMNS)]


def figures(results: Results, entry: str, looks: Mapping[str, Style]) -> Iterator[Drawing]:
    """Yield the maps of the teacher and of each method."""
    details = results.details(entry)
    pair, teachers, students = first_seeds(results, details)
    name = files.section(entry, "")
    caption = (
        "t-SNE of the same test images by each network; colours are classes. The first seed of "
        f"{results.pairs[pair] if pair else 'a pair'}. Distances between clusters and their sizes "
        "mean nothing; the table has the numbers."
    )
    if not students:
        yield Drawing(name, caption, blank("No maps were drawn."))
        return
    shown = [*teachers, *students]
    points = pd.concat([found for _, found in shown])
    is_joint = bool((points["network"] == "teacher").any())
    if is_joint:
        caption = f"{caption} Crosses are the teacher’s features on the map of the student."
    classes = points.drop_duplicates("label").sort_values("label")
    looks_of = class_looks(classes["label"].tolist())
    figure, grid = panels(len(shown), 2.1, 2.2)
    for panel, (label, found) in zip(grid, shown, strict=True):
        _draw_map(panel, found, looks_of, len(points) > _MOST_VECTORS)
        panel.set_title(textwrap.fill(label, 26))
    handles = [
        legend_key(str(row["class"]), ls="none", **looks_of[row["label"]])
        for _, row in classes.iterrows()
    ]
    if is_joint:
        handles.append(legend_key("teacher", ls="none", marker="x", color=GREY))
    add_legend(figure, handles)
    yield Drawing(name, caption, figure)


def class_looks(labels: list[int]) -> dict[int, dict[str, Any]]:
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


def _draw_map(
    panel: Axes, points: pd.DataFrame, looks: Mapping[int, dict[str, Any]], is_picture: bool
) -> None:
    for _, of_class in points.groupby(["network", "label"]):
        network, label = of_class[["network", "label"]].iloc[0]
        look = dict(looks[label])
        if network == "teacher":
            look["marker"] = "x"
        panel.scatter(
            of_class["x"],
            of_class["y"],
            s=5,
            linewidths=0.5 if network == "teacher" else 0,
            alpha=0.8,
            rasterized=is_picture,
            **look,
        )
    panel.set_xticks([])
    panel.set_yticks([])
    panel.grid(visible=False)

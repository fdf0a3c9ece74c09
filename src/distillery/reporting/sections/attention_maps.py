"""Section of the protocol ``attention-maps``: test images under the maps of each network."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from distillery.reporting import files
from distillery.reporting.drawing import Drawing, Style, blank
from distillery.reporting.protocol_metrics import first_seeds
from distillery.reporting.protocol_tables import metrics_table
from distillery.reporting.results import Results
from distillery.reporting.table import Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TITLE = "Attention maps"
TABLES = ("",)
FIGURES = ("",)

_COLUMNS = {"map_cosine": "Cosine with the teacher’s map"}
# A page has room for the images, the teacher and so many students and images.
_MOST_STUDENTS = 8
_MOST_IMAGES = 8
_OPACITY = 0.6


def tables(results: Results, entry: str) -> list[Table]:
    """Return how similar the maps of all networks are to the teacher's."""
    caption = (
        "Cosine similarity of a network’s spatial attention map (mean of squares over the channels "
        "of the last stage) and its teacher’s, mean over test images. Mean ± standard deviation "
        "over seeds."
    )
    return [metrics_table(results, entry, caption, _COLUMNS)]


def figures(results: Results, entry: str, looks: Mapping[str, Style]) -> Iterator[Drawing]:
    """Yield a grid: below each image the maps of the teacher and of the students."""
    details = results.details(entry)
    pair, teachers, students = first_seeds(results, details)
    name = files.section(entry, "")
    caption = (
        "Spatial attention maps, each from its lowest (dark) to its highest value (bright), over "
        "test images. The class stands above an image; below a map stands what the network "
        f"predicts where that is wrong. The first seed of {results.pairs[pair]}."
        if pair
        else "Spatial attention maps over test images."
    )
    if not students:
        yield Drawing(name, caption, blank("No attention maps were made."))
        return
    if len(students) > _MOST_STUDENTS:
        caption = f"{caption} The first {_MOST_STUDENTS} of {len(students)} methods."
    shown = [*teachers, *students[:_MOST_STUDENTS]]
    yield Drawing(name, caption, _grid(dict(shown)))


def _grid(observed: Mapping[str, pd.DataFrame]) -> Figure:
    """Draw images in columns, and below them their maps: a row for each network."""
    from matplotlib.figure import Figure

    found = {label: _images(details) for label, details in observed.items()}
    images = next(iter(found.values()))
    rows, columns = 1 + len(found), len(images)
    figure = Figure(figsize=(1.2 + 0.85 * columns, 0.3 + rows), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False)
    for panel, image in zip(grid[0], images, strict=True):
        panel.imshow(_pixels(image), cmap="gray", vmin=0, vmax=255)
        panel.set_title(textwrap.fill(str(image["class"]), 12))
    for panels, of_network in zip(grid[1:], found.values(), strict=True):
        for panel, image in zip(panels, of_network, strict=True):
            _draw_map(panel, image)
    for panels, label in zip(grid, ("Image", *found), strict=True):
        panels[0].set_ylabel(textwrap.fill(label, 14), rotation=0, ha="right", va="center")
    for panel in grid.flat:
        panel.set_xticks([])
        panel.set_yticks([])
        panel.grid(visible=False)
    return figure


def _images(details: pd.DataFrame) -> list[dict[str, Any]]:
    """Return what is known of each image that is shown, by class."""
    chosen = details.sort_values(["label", "position"])[:_MOST_IMAGES]
    return [dict(row) for _, row in chosen.iterrows()]


def _pixels(image: Mapping[str, Any]) -> np.ndarray:
    """Return an image as it is drawn: (H, W, 3), or (H, W) of one channel or the mean of others."""
    shape = image["height"], image["width"], image["channels"]
    pixels = np.frombuffer(image["image"], dtype=np.uint8).reshape(shape)
    return pixels if shape[2] == 3 else pixels.mean(axis=2)


def _draw_map(panel: Axes, image: Mapping[str, Any]) -> None:
    """Draw a map over its image, and below them the prediction if it is wrong."""
    pixels = _pixels(image)
    grey = pixels.mean(axis=2) if pixels.ndim == 3 else pixels
    panel.imshow(grey, cmap="gray", vmin=0, vmax=255)
    shape = image["height"], image["width"]
    panel.imshow(np.reshape(image["map"], shape), cmap="inferno", alpha=_OPACITY)
    if image["predicted"] != image["label"]:
        panel.set_xlabel(textwrap.fill(str(image["predicted_class"]), 12), labelpad=2)

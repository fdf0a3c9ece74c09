"""Section of the protocol ``attention-maps``: test images under the maps of each network."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pandas as pd

from distillery.reporting import files
from distillery.reporting.figures import layout, panels
from distillery.reporting.figures.model import ReportFigure
from distillery.reporting.figures.style import Styles
from distillery.reporting.results.collected import Results
from distillery.reporting.results.protocols import first_seeds
from distillery.reporting.sections.base import MetricsSection

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# A page has room for the images, the teacher and so many students and images.
_MOST_STUDENTS = 8
_MOST_IMAGES = 8
_OPACITY = 0.6
# In inches: the names of the networks, and an image; letters in points.
_NAMES = 0.9
_SIDE = (layout.TEXT - _NAMES) / _MOST_IMAGES
_SIZE = 7.0


class AttentionMaps(MetricsSection):
    """How similar the maps of all networks are to the teacher's, and the maps themselves."""

    title = "Attention maps"
    caption = (
        "Cosine similarity of a network’s spatial attention map (mean of squares over the channels "
        "of the last stage) and its teacher’s, mean over test images. Mean ± standard deviation "
        "over seeds."
    )
    metrics: ClassVar[Mapping[str, str]] = {"map_cosine": "Cosine with the teacher’s map"}

    def figures(self, results: Results, entry: str, styles: Styles) -> Iterator[ReportFigure]:
        """Yield a grid: below each image the maps of the teacher and of the students."""
        pair, teachers, students = first_seeds(results, results.details(entry))
        name = files.section(entry)
        if not students:
            caption = "Spatial attention maps over test images."
            yield ReportFigure(name, caption, panels.blank("No attention maps were made."))
            return
        caption = (
            "Spatial attention maps, each from its lowest (dark) to its highest value (bright), "
            "over test images. The class stands above an image; below a map stands what the "
            f"network predicts where that is wrong. The first seed of {results.pairs[pair]}."
        )
        if len(students) > _MOST_STUDENTS:
            caption = f"{caption} The first {_MOST_STUDENTS} of {len(students)} methods."
        networks = [*teachers, *students[:_MOST_STUDENTS]]
        yield ReportFigure(name, caption, _grid(dict(networks)))


def _grid(observed: Mapping[str, pd.DataFrame]) -> Figure:
    """Draw images in columns, and below them their maps: a row for each network."""
    from matplotlib.figure import Figure

    found = {label: _images(details) for label, details in observed.items()}
    images = next(iter(found.values()))
    rows, columns = 1 + len(found), len(images)
    figure = Figure(figsize=(layout.TEXT, 0.3 + rows * (_SIDE + 0.15)), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False)
    for panel, image in zip(grid[0], images, strict=True):
        panel.imshow(_pixels(image), cmap="gray", vmin=0, vmax=255)
        panel.set_title(layout.wrapped(str(image["class"]), _SIDE, _SIZE), fontsize=_SIZE)
    for row, of_network in zip(grid[1:], found.values(), strict=True):
        for panel, image in zip(row, of_network, strict=True):
            _draw_map(panel, image)
    for row, label in zip(grid, ("Image", *found), strict=True):
        name = layout.wrapped(label, _NAMES - 0.1, _SIZE)
        row[0].set_ylabel(name, rotation=0, ha="right", va="center", fontsize=_SIZE)
    for panel in grid.flat:
        panels.hide_ticks(panel)
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
        name = layout.wrapped(str(image["predicted_class"]), _SIDE, _SIZE)
        panel.set_xlabel(name, labelpad=2, fontsize=_SIZE)

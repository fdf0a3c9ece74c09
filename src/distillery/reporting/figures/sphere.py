"""A picture of what the geometry package does: curves and clouds on the sphere of three dimensions.

It shows no results. The points come from the functions that the methods use.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from distillery.reporting.figures import layout, panels
from distillery.reporting.figures.model import ReportFigure
from distillery.reporting.figures.style import GREY, Style, make_styles

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from torch import Tensor

POINTS = 4
"""Points on every curve."""

_IN_PLANE = {
    "linear": "linear, re-projected",
    "slerp": "slerp",
    "geodesic": "Hermite, geodesic (s = 2)",
}
_OUT_OF_PLANE = {
    "random": "Hermite, random tangents",
    "towards": "Hermite, towards the anchor",
    "outward": "Hermite, outward from the centroid",
    "cardinal": "Hermite, cardinal",
}
_CURVES = _IN_PLANE | _OUT_OF_PLANE
_SCALE = 1.0
_GEODESIC_SCALE = 2.0
# Points on the same great circle hide each other: the later ones are smaller.
_SIZES = {"linear": 8.5, "slerp": 6.0, "geodesic": 3.5}
_SEED = 3
_CLOUD = 250
_CLOUD_COLOUR = "#0173b2"
_CLOUD_DEGREES = 20
_CLOUD_RADIUS = math.radians(_CLOUD_DEGREES)
_CONCENTRATION = 15.0
_VIEW = (24.0, 0.0)
"""Latitude and longitude in degrees of the place that the eye is above."""
_PLACES = {
    "p0": (8, -50),
    "p1": (14, 52),
    "anchor": (62, 22),
    "centroid": (48, -26),
    "before": (-28, -52),
    "after": (-18, 66),
}
"""Latitude and longitude in degrees of the points in the picture."""


_ENDS: dict[str, Any] = {"marker": "o", "ms": 6, "color": "black", "mec": "white", "mew": 0.6}
_ANCHOR = _ENDS | {"marker": "*", "ms": 10}
_CENTROID = _ENDS | {"marker": "P", "ms": 8}
_NEIGHBOUR = _ENDS | {"marker": "D", "ms": 5}


@dataclass(frozen=True)
class _Scene:
    """The points of the picture, (3,) each."""

    p0: Tensor
    p1: Tensor
    anchor: Tensor
    centroid: Tensor
    before: Tensor
    after: Tensor


def draw(name: str) -> ReportFigure:
    """Draw every strategy between the same two points, and a cloud of each law of diffusion.

    To be drawn inside ``style.theme``. ``name`` is that of the figure's files.
    """
    scene = _Scene(**{key: _place(*degrees) for key, degrees in _PLACES.items()})
    styles = make_styles(_CURVES, "linear")
    figure, (inside, outside, *clouds) = _spheres()
    inside.set_title("One great circle")
    outside.set_title("Out of the plane")
    for panel, keys in ((inside, _IN_PLANE), (outside, _OUT_OF_PLANE)):
        for key in keys:
            _draw_curve(panel, key, scene, styles[key])
        _mark(panel, [scene.p0, scene.p1], **_ENDS)
    _mark(outside, [scene.anchor], **_ANCHOR)
    _mark(outside, [scene.centroid], **_CENTROID)
    _mark(outside, [scene.before, scene.after], **_NEIGHBOUR)
    for panel, (title, cloud) in zip(clouds, _clouds().items(), strict=True):
        panel.set_title(title)
        _draw_cloud(panel, cloud)
    panels.add_legend(figure, _legend(styles))
    return ReportFigure(
        name,
        "Illustration, no result. Synthetic points between the same two points of a sphere, "
        f"{POINTS} a strategy, and clouds of diffused points around one point. Linear"
        " interpolation, slerp and Hermite curves with tangents along the great circle (s is the"
        " tangents' scale) differ only in where on this circle their points lie; the other tangents"
        " leave its plane. All curves are projected back to the sphere. The dashed circles have a"
        f" radius of {_CLOUD_DEGREES}°.",
        figure,
        is_illustration=True,
    )


def _legend(styles: dict[str, Style]) -> list[Any]:
    curves = [
        panels.legend_key(label, color=styles[key].colour, ls=styles[key].dash, marker="o")
        for key, label in _CURVES.items()
    ]
    marks = [
        panels.legend_key("the two points", ls="", **_ENDS),
        panels.legend_key("anchor", ls="", **_ANCHOR),
        panels.legend_key("centroid", ls="", **_CENTROID),
        panels.legend_key("neighbours", ls="", **_NEIGHBOUR),
    ]
    return curves + marks


def _place(latitude: float, longitude: float) -> Tensor:
    """Return the point of the sphere at a latitude and longitude in degrees."""
    import torch

    north, east = math.radians(latitude), math.radians(longitude)
    return torch.tensor(
        [
            math.cos(north) * math.cos(east),
            math.cos(north) * math.sin(east),
            math.sin(north),
        ],
        dtype=torch.float64,
    )


def _curve(key: str, scene: _Scene, t: Tensor) -> Tensor:
    """Return the points of a strategy at positions t (n,), (n, 3) on the sphere."""
    from distillery.geometry import curves
    from distillery.geometry.sphere import unit

    p0, p1 = scene.p0, scene.p1
    if key == "linear":
        return unit(curves.linear(p0, p1, t))
    if key == "slerp":
        return curves.slerp(p0, p1, t)
    return unit(curves.hermite(p0, p1, *_tangents(key, scene), t))


def _tangents(family: str, scene: _Scene) -> tuple[Tensor, Tensor]:
    import torch

    from distillery.geometry import tangents

    p0, p1 = scene.p0, scene.p1
    if family == "geodesic":
        return tangents.geodesic(p0, p1, _GEODESIC_SCALE)
    if family == "random":
        return tangents.random_plane(p0, p1, _SCALE, torch.Generator().manual_seed(_SEED))
    if family == "towards":
        return tangents.towards(p0, p1, scene.anchor, _SCALE)
    if family == "outward":
        return tangents.outward(p0, p1, scene.centroid, _SCALE)
    return tangents.cardinal(scene.before, p0, p1, scene.after, 0.0)


def _clouds() -> dict[str, Tensor]:
    """Return the diffused points of each law, (N, 3), by the panel's title."""
    import torch

    from distillery.geometry import diffusion

    generator = torch.Generator().manual_seed(_SEED)
    points = _place(*_VIEW).expand(_CLOUD, 3)
    return {
        f"Gaussian, r = {_CLOUD_DEGREES}°": diffusion.gaussian(points, _CLOUD_RADIUS, generator),
        f"Cap, r = {_CLOUD_DEGREES}°": diffusion.cap(points, _CLOUD_RADIUS, generator),
        f"von Mises-Fisher, κ = {_CONCENTRATION:g}": diffusion.von_mises_fisher(
            points, _CONCENTRATION, generator
        ),
    }


def _spheres() -> tuple[Figure, list[Axes]]:
    """Return a figure with two large and three small spheres, seen from far away."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(layout.TEXT, 5.2), layout="constrained")
    grid = figure.subplot_mosaic("AAABBB;CCDDEE", height_ratios=[3, 2])
    spheres = [grid[letter] for letter in "ABCDE"]
    for panel in spheres:
        _draw_sphere(panel)
    return figure, spheres


def _draw_sphere(panel: Axes) -> None:
    from matplotlib.patches import Circle

    panel.set_axis_off()
    panel.set_aspect("equal")
    panel.set(xlim=(-1.03, 1.03), ylim=(-1.03, 1.03))
    panel.add_patch(Circle((0, 0), 1, facecolor="0.97", edgecolor="0.6", lw=0.8, zorder=0))
    turn = np.linspace(-180, 180, 181)
    for latitude in range(-60, 90, 30):
        _draw_line(panel, [_place(latitude, longitude) for longitude in turn], lw=0.5, color="0.86")
    for longitude in range(0, 180, 30):
        _draw_line(panel, [_place(latitude, longitude) for latitude in turn], lw=0.5, color="0.86")


def _draw_curve(panel: Axes, key: str, scene: _Scene, style: Style) -> None:
    import torch

    from distillery.geometry.curves import positions

    path = _curve(key, scene, torch.linspace(0, 1, 200, dtype=torch.float64))
    _draw_line(panel, path, color=style.colour, ls=style.dash, lw=1.2, zorder=2)
    points = _curve(key, scene, positions(POINTS, path))
    _mark(panel, points, marker="o", ms=_SIZES.get(key, 4.5), color=style.colour, zorder=3)


def _draw_cloud(panel: Axes, cloud: Tensor) -> None:
    import torch

    from distillery.geometry.sphere import exponential

    centre = _place(*_VIEW)
    turn = torch.linspace(0, 2 * math.pi, 100, dtype=torch.float64)
    directions = torch.stack((turn.cos(), turn.sin()), dim=1) @ torch.tensor(_axes())
    rim = exponential(centre, _CLOUD_RADIUS * directions)
    _draw_line(panel, rim, color=GREY, ls="--", lw=0.9, zorder=2)
    x, y = _project(cloud)
    panel.scatter(x, y, s=4, alpha=0.5, linewidths=0, color=_CLOUD_COLOUR, zorder=3)
    _mark(panel, [centre], **_ENDS)


def _draw_line(panel: Axes, points: Sequence[Tensor] | Tensor, **drawn: Any) -> None:
    """Draw a line on the visible half of the sphere."""
    panel.plot(*_project(points), **drawn)


def _mark(panel: Axes, points: Sequence[Tensor] | Tensor, **drawn: Any) -> None:
    panel.plot(*_project(points), ls="", **{"zorder": 4, "mec": "white", "mew": 0.6, **drawn})


def _axes() -> np.ndarray:
    """Return the directions of the picture's x and y axes, (2, 3)."""
    north, east = np.radians(_VIEW)
    right = [-np.sin(east), np.cos(east), 0]
    up = [-np.sin(north) * np.cos(east), -np.sin(north) * np.sin(east), np.cos(north)]
    return np.array([right, up])


def _project(points: Sequence[Tensor] | Tensor) -> np.ndarray:
    """Return x and y of points (n, 3) in an orthographic view, (2, n); NaN if they are behind."""
    there = np.stack([point.numpy() for point in points])
    is_behind = there @ _place(*_VIEW).numpy() < 0
    # The last digits depend on the processor.
    return np.where(is_behind, np.nan, (_axes() @ there.T).round(9))

"""Uses finished networks: exports them, and classifies images by them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from distillery.core.errors import UnknownName, UserError
from distillery.runs.artifact import Artifact, open_input
from distillery.serving.exporting import FORMATS, export_run
from distillery.serving.served import FILES, Served, of_file, of_run
from distillery.steering.finished import open_finished
from distillery.steering.output import print_table


def network_of(name: str, data: Path) -> Served:
    """Return the network of an exported file, or of the run that is meant by ``name``."""
    if Path(name).suffix in FILES:
        return of_file(Path(name))
    trained = open_finished(name, data)
    return of_run(trained, prepared_for(trained, data))


def prepared_for(trained: Artifact, data: Path) -> Artifact:
    """Return the run of the data set of a finished network.

    Raises:
        UserError: the run has no network, or the data set is not there.
    """
    location = trained.manifest["inputs"].get("prepared")
    if location is None:
        stage = trained.manifest["stage"]
        raise UserError(f"{trained.path.name}: a run of the stage '{stage}' holds no network")
    return open_input(data, location, trained.path.name)


def export(name: str, data: Path, folder: Path, formats: Sequence[str] | None) -> list[Path]:
    """Export the run that is meant by ``name``, and return the files.

    Raises:
        UnknownName: there is no such format.
    """
    for each in formats or ():
        if each not in FORMATS:
            raise UnknownName("format", each, FORMATS)
    trained = open_finished(name, data)
    wanted = [each for each in FORMATS if each in (formats or FORMATS)]
    return export_run(trained, prepared_for(trained, data), folder, wanted)


def predicted(served: Served, images: Sequence[Path], count: int) -> dict[str, Any]:
    """Return the most probable classes of images as plain values."""
    answers = served.top(images, count)
    return {
        "network": served.name,
        "images": [
            {
                "image": str(image),
                "top": [{"class": name, "probability": round(p, 6)} for name, p in answer],
            }
            for image, answer in zip(images, answers, strict=True)
        ],
    }


def print_predicted(found: dict[str, Any]) -> None:
    """Print what ``predicted`` returned, an image a row."""
    rows = [
        [
            each["image"],
            *(f"{one['class']} {100 * one['probability']:.1f} %" for one in each["top"]),
        ]
        for each in found["images"]
    ]
    print_table(["image", *map(str, range(1, len(rows[0])))], rows, found["network"])

"""Writes the network of a finished run as files for other programs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Literal

import numpy as np

from distillery.data.info import DataSetInfo
from distillery.models.settings import architecture_of
from distillery.serving import program
from distillery.serving.onnx import (
    OPSET,
    Quantisation,
    arrays,
    check_same,
    drawn,
    export,
    quantise,
)
from distillery.serving.served import Served, of_file, of_run

if TYPE_CHECKING:
    from distillery.runs.artifact import Artifact

Format = Literal["onnx", "int8", "pt2"]
FORMATS: tuple[Format, ...] = ("onnx", "int8", "pt2")
_ENDINGS: dict[Format, str] = {"onnx": ".onnx", "int8": "-int8.onnx", "pt2": ".pt2"}
_CHECKED = 32


def export_run(
    trained: Artifact,
    prepared: Artifact,
    folder: Path,
    formats: Sequence[Format] = FORMATS,
    opset: int = OPSET,
) -> list[Path]:
    """Write the network of a finished run, and check that the files answer as it does.

    ``onnx`` is in 32-bit floats; ``int8`` has 8-bit weights and activations, whose ranges come from
    training images; ``pt2`` is for ``torch.export.load``. The metadata of each have all of
    ``Preprocessing``, and the key of the run.

    Args:
        trained: the run.
        prepared: the run of its data set.
        folder: where to write; it is made where it is missing.
        formats: what to write.
        opset: version of the ONNX operators.

    Returns:
        The files, in the order of ``FORMATS``.
    """
    served = of_run(trained, prepared)
    assert served.module
    metadata = served.preprocessing.metadata() | {"run": trained.key}
    info = architecture_of(trained).seen(DataSetInfo.load(prepared))
    folder.mkdir(parents=True, exist_ok=True)
    slug = trained.manifest["slug"]
    paths = {name: folder / f"{slug}{ending}" for name, ending in _ENDINGS.items()}
    with TemporaryDirectory(dir=folder) as scratch:
        # Not where an earlier export may lie that is to stay.
        full = paths["onnx"] if "onnx" in formats else Path(scratch, paths["onnx"].name)
        if "onnx" in formats or "int8" in formats:
            export(served.module, info, full, opset, metadata)
        if "int8" in formats:
            options = Quantisation()
            wanted = options.calibration_images
            images = drawn(prepared, trained, "train", wanted, "calibration_images")
            quantise(full, paths["int8"], options, arrays(images, info))
    if "pt2" in formats:
        program.save(served.module, info.shape, paths["pt2"], metadata)
    written = [name for name in FORMATS if name in formats]
    tested = drawn(prepared, trained, "test", _CHECKED, "checked_images")
    for name in written:
        if name != "int8":
            _require_same(served, of_file(paths[name]), arrays(tested, info))
    return [paths[name] for name in written]


def _require_same(one: Served, other: Served, batches: Iterator[np.ndarray]) -> None:
    import torch

    for images in map(torch.from_numpy, batches):
        check_same(other.logits(images), one.logits(images))

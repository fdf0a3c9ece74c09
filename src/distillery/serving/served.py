"""A network that is ready for use: of a finished run, or of an exported file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from distillery.core.errors import UserError
from distillery.data.info import DataSetInfo
from distillery.models.base import Classifier
from distillery.models.weights import WEIGHTS, load_network
from distillery.serving import program
from distillery.serving.onnx import INPUT, OUTPUT, open_session
from distillery.serving.preprocessing import Preprocessing

if TYPE_CHECKING:
    from distillery.runs.artifact import Artifact

FILES = (".onnx", ".pt2")
"""Suffixes of exported files."""
_AT_A_TIME = 64


@dataclass(frozen=True)
class Served:
    """A network with its preprocessing.

    Attributes:
        name: of its run or file.
        preprocessing: what becomes of an image before.
        logits: from images (B, C, H, W), normalised, to logits (B, classes).
        module: the network in PyTorch; None for an exported file.
    """

    name: str
    preprocessing: Preprocessing
    logits: Callable[[Tensor], np.ndarray]
    module: Classifier | None = None

    def __call__(self, images: Sequence[Any]) -> np.ndarray:
        """Return the probabilities (B, classes) of images, which may be files; see ``applied``."""
        groups = [images[at : at + _AT_A_TIME] for at in range(0, len(images), _AT_A_TIME)]
        found = np.concatenate([self.logits(self.preprocessing.applied(group)) for group in groups])
        powers = np.exp(found - found.max(axis=1, keepdims=True))
        probabilities: np.ndarray = powers / powers.sum(axis=1, keepdims=True)
        return probabilities

    def top(self, images: Sequence[Any], count: int) -> list[list[tuple[str, float]]]:
        """Return the most probable classes of each image with their probabilities."""
        classes = self.preprocessing.classes
        return [
            [
                (classes[label], float(row[label]))
                for label in np.argsort(-row, kind="stable")[:count]
            ]
            for row in self(images)
        ]


def of_run(trained: Artifact, prepared: Artifact) -> Served:
    """Return the network of a finished run.

    Args:
        trained: the run.
        prepared: the run of its data set.

    Raises:
        UserError: the run has no network.
    """
    if WEIGHTS not in trained.files:
        stage = trained.manifest["stage"]
        raise UserError(f"{trained.path.name}: a run of the stage '{stage}' holds no network")
    network = load_network(trained, DataSetInfo.load(prepared))

    def logits(images: Tensor) -> np.ndarray:
        with torch.inference_mode():
            found: np.ndarray = network(images).logits.numpy()
        return found

    return Served(trained.path.name, Preprocessing.of(trained, prepared), logits, network)


def of_file(path: Path) -> Served:
    """Return the network of a file that ``distillery export`` or the protocol ``deployment`` wrote.

    Raises:
        UserError: it is none.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    try:
        logits, metadata = _open_onnx(path) if path.suffix == ".onnx" else _open_program(path)
        return Served(path.name, Preprocessing.from_metadata(metadata), logits)
    # What the readers raise of a file that is something else has no common kind.
    except Exception as error:
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise UserError(f"{path}: not an exported network of ours ({reason})") from None


def _open_onnx(path: Path) -> tuple[Callable[[Tensor], np.ndarray], Mapping[str, str]]:
    session = open_session(path, torch.get_num_threads())

    def logits(images: Tensor) -> np.ndarray:
        (found,) = session.run([OUTPUT], {INPUT: images.numpy()})
        return np.asarray(found)

    return logits, session.get_modelmeta().custom_metadata_map


def _open_program(path: Path) -> tuple[Callable[[Tensor], np.ndarray], Mapping[str, str]]:
    return program.load(path, [*Preprocessing.model_fields])

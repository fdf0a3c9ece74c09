"""Storing and loading network weights as safetensors."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from safetensors.torch import load_file, save
from torch import Tensor

from distillery.core.errors import DamagedArtifact
from distillery.data.info import DataSetInfo
from distillery.models import registry
from distillery.models.base import Classifier
from distillery.models.settings import Architecture, architecture_of
from distillery.runs.artifact import Artifact, remedy

WEIGHTS = "model.safetensors"
CLASSES = "classes"
"""What the names of the classes are filed under beside the weights, as a JSON list."""


def save_network(network: Classifier, path: Path, classes: Sequence[str]) -> None:
    """Write weights and the names of the classes; the same of both gives equal bytes."""
    tensors = {name: tensor.detach().cpu() for name, tensor in network.state_dict().items()}
    names = json.dumps(list(classes), ensure_ascii=False)
    whole = {name: tensor.contiguous() for name, tensor in tensors.items()}
    # Not by its own writer, whose errors do not tell a full disk from others.
    path.write_bytes(save(whole, {CLASSES: names}))


def new_network(architecture: Architecture, info: DataSetInfo) -> Classifier:
    """Return a network with random weights, drawn from torch's global generator.

    Args:
        architecture: which one.
        info: description of its whole data set, also where the network sees some channels alone.

    Raises:
        UserError: there is no such architecture, or the code of an own one has changed.
    """
    seen = architecture.seen(info)
    return registry.build(
        architecture.arch,
        num_classes=len(seen.classes),
        in_channels=seen.shape[2],
        image_size=seen.shape[0],
        source=architecture.source,
    )


def load_network(trained: Artifact, info: DataSetInfo) -> Classifier:
    """Return the trained network of a run, in evaluation mode and frozen.

    Args:
        trained: the run of a teacher or student.
        info: description of its whole data set, also where the network sees some channels alone.

    Raises:
        DamagedArtifact: the weights are missing, differ from the manifest, or are not those of this
            network.
        UserError: there is no such architecture any more.
    """
    network = new_network(architecture_of(trained), info)
    weights = load_file(trained.file(WEIGHTS))
    _require_fitting(trained, weights, network.state_dict())
    network.load_state_dict(weights)
    return network.eval().requires_grad_(False)


def channels_of(trained: Artifact) -> tuple[int, ...] | None:
    """Return the indices of the channels that a network sees, or None for all."""
    return architecture_of(trained).channels


def _require_fitting(
    trained: Artifact, found: Mapping[str, Tensor], expected: Mapping[str, Tensor]
) -> None:
    """Demand that a run's weights, tensors of any shape (...), are those of its network."""
    for name in {**expected, **found}:
        shapes = [tuple(each[name].shape) if name in each else None for each in (found, expected)]
        if shapes[0] != shapes[1]:
            there, wanted = ("none" if shape is None else str(shape) for shape in shapes)
            raise DamagedArtifact(
                f"{trained.path / WEIGHTS}: of '{name}' it has {there} where the network has "
                f"{wanted}; {remedy(trained.path)}"
            )

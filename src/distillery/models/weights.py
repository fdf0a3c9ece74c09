"""Storing and loading network weights as safetensors."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from safetensors.torch import load_file, save_file

from distillery.data.info import DataSetInfo
from distillery.models import registry
from distillery.models.base import Classifier
from distillery.models.settings import architecture_of

if TYPE_CHECKING:
    from distillery.runs.artifact import Artifact

WEIGHTS = "model.safetensors"


def save_network(network: Classifier, path: Path) -> None:
    """Write the weights of a network; equal weights give equal bytes."""
    tensors = {name: tensor.detach().cpu() for name, tensor in network.state_dict().items()}
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path)


def load_network(trained: Artifact, info: DataSetInfo) -> Classifier:
    """Return the trained network of a run, in evaluation mode and frozen.

    Args:
        trained: the run of a teacher or student.
        info: description of its whole data set, also where the network sees some channels alone.

    Raises:
        DamagedArtifact: the weights are missing or differ from the manifest.
        UserError: there is no such architecture any more.
    """
    info = info.of_channels(channels_of(trained))
    arch = architecture_of(trained).arch
    network = registry.build(arch, num_classes=len(info.classes), in_channels=info.shape[2])
    network.load_state_dict(load_file(trained.file(WEIGHTS)))
    return network.eval().requires_grad_(False)


def channels_of(trained: Artifact) -> tuple[int, ...] | None:
    """Return the indices of the channels that a network sees, or None for all."""
    return architecture_of(trained).channels

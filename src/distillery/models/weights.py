"""Storing and loading network weights as safetensors."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from safetensors.torch import load_file, save_file

from distillery.data.prepared import DataSetInfo
from distillery.models import registry
from distillery.models.base import Classifier

if TYPE_CHECKING:
    from distillery.runs.artifacts import Artifact

WEIGHTS = "model.safetensors"


def save_network(network: Classifier, path: Path) -> None:
    """Write the weights of a network; equal weights give equal bytes."""
    tensors = {name: tensor.detach().cpu() for name, tensor in network.state_dict().items()}
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path)


def load_network(trained: Artifact, info: DataSetInfo) -> Classifier:
    """Return the trained network of a run, in evaluation mode and frozen.

    ``info`` is that of its whole data set, also where the network sees some channels alone.
    """
    info = info.of_channels(channels_of(trained))
    network = registry.build(
        trained.settings["arch"], num_classes=len(info.classes), in_channels=info.shape[2]
    )
    network.load_state_dict(load_file(trained.file(WEIGHTS)))
    return network.eval().requires_grad_(False)


def channels_of(trained: Artifact) -> Sequence[int] | None:
    """Return the places of the channels that a network sees, or None for all."""
    # Imported networks have no such setting.
    channels: Sequence[int] | None = trained.settings.get("channels")
    return channels

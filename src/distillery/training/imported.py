"""The stage ``import-teacher``: a published checkpoint becomes a teacher run."""

from __future__ import annotations

import pickle
import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from distillery.core.devices import device_for_inference
from distillery.core.errors import UserError
from distillery.core.files import checksum
from distillery.data.files import RawFiles
from distillery.data.leakage import leakage_warning
from distillery.data.prepared import DataSetInfo, load
from distillery.data.settings import PrepareSettings
from distillery.models import predictions, registry
from distillery.models.base import Classifier
from distillery.models.inference import predict
from distillery.models.settings import Architecture
from distillery.models.weights import WEIGHTS, save_network

if TYPE_CHECKING:
    from distillery.runs.produce import Workspace

# Where RepDistiller ("model") and mdistiller ("model" or "state_dict") keep the weights.
_CONTAINERS = ("model", "state_dict")


class Settings(Architecture):
    """Settings of the stage."""

    file: str
    """Name of the checkpoint, looked up among the raw files."""
    sha256: str
    """Its checksum."""


def run(work: Workspace) -> None:
    """Check and convert the checkpoint, and measure its accuracy on the test set.

    Raises:
        UserError: the file is not there, or not the one that the params name.
    """
    settings, prepared = Settings.model_validate(work.run.settings), work.inputs["prepared"]
    with RawFiles.opened(work.raw, work.scratch) as raw:
        path = raw.locate([settings.file])
    if not path.is_file():
        raise UserError(f"{path}: not a file")
    digest = checksum(path)
    if digest != settings.sha256:
        raise UserError(f"{path}: sha256 is {digest}, not {settings.sha256} as the params say")
    warning = leakage_warning(PrepareSettings.model_validate(prepared.settings).source, path.name)
    if warning:
        warnings.warn(warning, stacklevel=2)
    info = DataSetInfo.load(prepared).of_channels(settings.channels)
    network = registry.build(
        settings.arch, num_classes=len(info.classes), in_channels=info.shape[2]
    )
    load_into(network, read_state(path), path)
    device = device_for_inference(work.record)
    images = load(prepared, "test").of_channels(settings.channels).to(device)
    found = predict(network.eval().to(device), images, info)
    accuracy = 100 * float((found.logits.argmax(axis=1) == found.labels).mean())
    save_network(network, work.out / WEIGHTS)
    predictions.write(work.out, found)
    work.record["origin"] = {"file": path.name, "sha256": digest}
    work.write_json("metrics.json", {"test_top1": accuracy})


def read_state(path: Path) -> dict[str, Tensor]:
    """Return the weights of a foreign checkpoint, of any shapes (...); nothing in it is executed.

    Raises:
        UserError: the file is no checkpoint, or holds more than weights and plain values.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        found = re.search(r"GLOBAL (\S+)", str(error))
        holds = f" (it holds a {found[1]})" if found else ""
        raise UserError(
            f"{path}: not a checkpoint of weights alone{holds}; it is not loaded"
        ) from None
    # A damaged file can make the reader fail in any way.
    except Exception as error:
        reason = str(error).partition(". ")[0].partition("\n")[0] or type(error).__name__
        raise UserError(f"{path}: not a readable checkpoint ({reason})") from None
    return _weights(content, path)


def load_into(network: Classifier, state: Mapping[str, Tensor], path: Path) -> None:
    """Load weights, tensors of any shape, into a network that has the same ones.

    Raises:
        UserError: a weight is missing, unknown or of another shape; the first one is named.
    """
    expected = network.state_dict()
    for name in [*expected, *state]:
        if name not in state:
            raise UserError(f"{path}: has no weight '{name}'; is the architecture right?")
        if name not in expected:
            raise UserError(f"{path}: unknown weight '{name}'; is the architecture right?")
        if state[name].shape != expected[name].shape:
            shapes = f"{tuple(state[name].shape)} instead of {tuple(expected[name].shape)}"
            raise UserError(f"{path}: '{name}' has shape {shapes}")
    network.load_state_dict(state)


def _weights(content: Any, path: Path) -> dict[str, Tensor]:
    for name in _CONTAINERS:
        if isinstance(content, Mapping) and isinstance(content.get(name), Mapping):
            content = content[name]
    if not isinstance(content, Mapping) or not all(
        isinstance(name, str) and isinstance(value, Tensor) for name, value in content.items()
    ):
        raise UserError(f"{path}: holds no weights (allowed: a state dict, or one under 'model')")
    # DataParallel puts a prefix before every name.
    return {name.removeprefix("module."): value for name, value in content.items()}

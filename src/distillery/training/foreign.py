"""Weights that others have trained: read as data, never as code, and believed only if they fit."""

from __future__ import annotations

import argparse
import json
import pickle
import re
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from distillery.core.errors import UserError
from distillery.models.base import Classifier
from distillery.models.finite import improper
from distillery.models.weights import CLASSES

# Where trainers keep the weights: RepDistiller, mdistiller, Lightning, pytorch-cifar, tutorials.
_CONTAINERS = ("model", "state_dict", "net", "model_state_dict", "network", "weights")
# Where trainers keep the names of the classes, as a list or by number.
_CLASS_NAMES = (CLASSES, "class_names", "names", "class_to_idx", "idx_to_class")
# What a layer counts for itself, and old checkpoints lack.
_COUNTER = "num_batches_tracked"
_SCALAR = np.float64(0).__reduce__()[0]
# Plain values that trainers store beside the weights; none of them runs code when it is read.
_HARMLESS: list[Any] = [
    argparse.Namespace,
    SimpleNamespace,
    np.dtype,
    _SCALAR,
    (_SCALAR, "numpy.core.multiarray.scalar"),
    *(type(np.dtype(kind)) for kind in "?bBhHiIlLqQefd"),
]


class Foreign(NamedTuple):
    """What a foreign checkpoint holds.

    Attributes:
        weights: tensors of any shape (...) by name.
        classes: names of the classes by label, if it has them.
    """

    weights: dict[str, Tensor]
    classes: tuple[str, ...] | None = None


def read(path: Path) -> Foreign:
    """Return the weights of a foreign checkpoint; nothing in it is executed.

    Raises:
        UserError: the file is no checkpoint, is damaged, or holds more than plain values.
    """
    if path.suffix == ".safetensors":
        return _read_safetensors(path)
    try:
        with torch.serialization.safe_globals(_HARMLESS):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        found = re.search(r"(?:GLOBAL|Unsupported (?:class|type)) (\S+)", str(error))
        holds = f" (it holds a {found[1]})" if found else ""
        raise UserError(
            f"{path}: not a checkpoint of weights alone{holds}; it is not loaded"
        ) from None
    # A damaged file can make the reader fail in any way.
    except Exception as error:
        raise UserError(f"{path}: not a readable checkpoint ({_reason(error)})") from None
    _require_undamaged(path, content)
    return Foreign(_weights(content, path), _class_names(content))


def load_into(network: Classifier, foreign: Foreign, path: Path, *, new_head: bool = False) -> None:
    """Load foreign weights, tensors of any shape, into a network that has the same ones.

    Args:
        network: gets them; a head that is not loaded stays as it is.
        foreign: the weights.
        path: where they come from.
        new_head: whether the network keeps its own last layer.

    Raises:
        UserError: a weight is missing, unknown, of another shape, or nothing that a network can
            have; the first one is named.
    """
    target = network.published
    expected = dict(target.state_dict())
    if new_head:
        head = f"{network.published_head}."
        expected = {name: each for name, each in expected.items() if not name.startswith(head)}
    found, prefix = _below_prefix(foreign.weights, expected, path)
    below = f" below '{prefix}'" if prefix else ""
    for name in expected:
        if name not in found and not name.endswith(_COUNTER):
            raise UserError(f"{path}: has no weight '{name}'{below}; is the architecture right?")
    for name, value in found.items():
        if new_head and name.startswith(head):
            continue
        if name not in expected:
            raise UserError(f"{path}: unknown weight '{prefix}{name}'; is the architecture right?")
        if value.shape != expected[name].shape:
            shapes = f"{tuple(value.shape)} instead of {tuple(expected[name].shape)}"
            raise UserError(
                f"{path}: '{prefix}{name}' has shape {shapes}{_hint(value, expected, name)}"
            )
        wrong = improper(name, value, like=expected[name])
        if wrong:
            raise UserError(f"{path}: '{prefix}{name}' {wrong}; the file is damaged or not weights")
    wanted = {name: value for name, value in found.items() if name in expected}
    target.load_state_dict(wanted, strict=False)


def compare_classes(found: Sequence[str] | None, expected: Sequence[str], path: Path) -> None:
    """Compare the names of classes, by label, of a checkpoint with those of a data set.

    Raises:
        UserError: they are the same in another order, so that every answer would be wrong.
    """
    if not found or list(found) == list(expected) or sorted(found) != sorted(expected):
        return
    place = next(n for n, (one, two) in enumerate(zip(found, expected, strict=True)) if one != two)
    raise UserError(
        f"{path.name}: its classes are in another order: class {place} is '{found[place]}', but "
        f"'{expected[place]}' in the data set; bring the classes into the order of the checkpoint"
    )


def _hint(value: Tensor, expected: Mapping[str, Tensor], name: str) -> str:
    """Say what to do about a last layer, or a first one, that has another width."""
    wanted = expected[name].shape
    if name in list(expected)[-2:] and value.shape[1:] == wanted[1:]:
        return "; it is of another number of classes: give it a `new_head` and train that"
    if value.ndim > 1 and len(wanted) == value.ndim and value.shape[1] == 3 != wanted[1]:
        return "; it is for colour images: see `channels` of the data set"
    return ""


def _below_prefix(
    weights: Mapping[str, Tensor], expected: Mapping[str, Tensor], path: Path
) -> tuple[dict[str, Tensor], str]:
    """Return the weights below the prefix that wrappers have put before the names, and the prefix.

    Raises:
        UserError: several networks in the file have the expected names.
    """
    first = next(iter(expected), "")
    counts = {
        prefix: sum(prefix + name in weights for name in expected)
        for prefix in dict.fromkeys(
            found.removesuffix(first) for found in weights if f".{found}".endswith(f".{first}")
        )
    }
    best = max(counts, key=lambda each: counts[each], default="")
    rivals = [prefix for prefix, count in counts.items() if count == counts[best]]
    if len(rivals) > 1 and "" not in rivals:
        raise UserError(
            f"{path}: holds several such networks, below {', '.join(map(repr, rivals))}; "
            "store the one that is meant alone"
        )
    best = "" if "" in rivals else best
    below = {
        name.removeprefix(best): value for name, value in weights.items() if name.startswith(best)
    }
    return below, best


def _read_safetensors(path: Path) -> Foreign:
    try:
        with safe_open(path, framework="pt") as file:
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            stored = (file.metadata() or {}).get(CLASSES)
            return Foreign(weights, tuple(json.loads(stored)) if stored else None)
    except (SafetensorError, OSError, ValueError, TypeError) as error:
        raise UserError(f"{path}: not a readable checkpoint ({_reason(error)})") from None


def _reason(error: Exception) -> str:
    return str(error).partition(". ")[0].partition("\n")[0] or type(error).__name__


def _require_undamaged(path: Path, content: Any) -> None:
    """Compare the checksums in the archive, which torch does not; its old format has none.

    Raises:
        UserError: one differs; the message names the tensor.
    """
    if not zipfile.is_zipfile(path):
        return
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
    # Bits of its directory may be the wrong ones.
    except Exception as error:
        raise UserError(f"{path}: not a readable checkpoint ({_reason(error)})") from None
    if damaged is None:
        return
    number = damaged.rpartition("/data/")[2]
    stored = list(dict.fromkeys(_storages(content)))
    places = dict(enumerate(dict.fromkeys(place for place, _ in stored)))
    names = [
        name for place, name in stored if number.isdigit() and places.get(int(number)) == place
    ]
    what = f"'{names[0]}'" if names else damaged
    raise UserError(f"{path}: damaged: {what} does not have the checksum that the file says")


def _storages(content: Any, name: str = "") -> Iterator[tuple[int, str]]:
    """Yield place in memory and name of each tensor, in the order in which they are stored."""
    if isinstance(content, Tensor):
        yield content.untyped_storage().data_ptr(), name
    elif isinstance(content, Mapping):
        for key, value in content.items():
            yield from _storages(value, str(key))
    elif isinstance(content, list | tuple):
        for value in content:
            yield from _storages(value, name)


def _weights(content: Any, path: Path) -> dict[str, Tensor]:
    for name in _CONTAINERS:
        if isinstance(content, Mapping) and isinstance(content.get(name), Mapping):
            content = content[name]
    if not isinstance(content, Mapping) or not all(
        isinstance(name, str) and isinstance(value, Tensor) for name, value in content.items()
    ):
        keys = [str(key) for key in content][:5] if isinstance(content, Mapping) else []
        found = f"; found the keys {', '.join(keys)}" if keys else ""
        under = ", ".join(f"'{each}'" for each in _CONTAINERS)
        raise UserError(
            f"{path}: holds no weights (allowed: a state dict, or one under {under}){found}"
        )
    return dict(content)


def _class_names(content: Any) -> tuple[str, ...] | None:
    """Return the names of the classes by label, as far as a checkpoint has them in a known form."""
    for key in _CLASS_NAMES if isinstance(content, Mapping) else ():
        names = content.get(key)
        if isinstance(names, Mapping):
            numbered = {v: k for k, v in names.items()} if key == "class_to_idx" else names
            names = [numbered.get(number) for number in range(len(numbered))]
        if isinstance(names, list | tuple) and names and all(isinstance(n, str) for n in names):
            return tuple(names)
    return None

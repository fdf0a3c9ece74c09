"""CIFAR-10 and CIFAR-100 in their official Python form, downloaded when they are not there.

The batches are pickles. They are read without running what they say: the only objects that can
come out are numbers, texts, lists, dictionaries and arrays of bytes.
"""

from __future__ import annotations

import io
import math
import pickle
from pathlib import Path
from typing import Any

import numpy as np

from distillery.core.errors import UserError
from distillery.data.download import fetch
from distillery.data.files import RawFiles, Tree
from distillery.data.raw import RawData, RawPart, SourceFacts
from distillery.data.settings import Source

_SHAPE = (32, 32, 3)
SOURCES = {
    "cifar10": SourceFacts(
        paths=("cifar-10-batches-py", "cifar-10-python.tar.gz"),
        shape=(32, 3),
        num_classes=10,
        smallest_class=5000,
        per_class=(5000,) * 10,
        downloaded=True,
    ),
    "cifar100": SourceFacts(
        paths=("cifar-100-python", "cifar-100-python.tar.gz"),
        shape=(32, 3),
        num_classes=100,
        smallest_class=500,
        per_class=(500,) * 100,
        downloaded=True,
    ),
}
# Data set -> file and key of the class names, key of the labels, files of the two parts.
_LAYOUT = {
    "cifar10": (
        ("batches.meta", "label_names"),
        "labels",
        tuple(f"data_batch_{number}" for number in range(1, 6)),
        ("test_batch",),
    ),
    "cifar100": (("meta", "fine_label_names"), "fine_labels", ("train",), ("test",)),
}


def read(settings: Source, raw: RawFiles) -> RawData:
    """Read the official archive or the folder that it unpacks to.

    Raises:
        UserError: files are missing, damaged, or not laid out as the source demands.
    """
    (meta, names_key), labels_key, train, test = _LAYOUT[settings.source]
    tree = raw.tree(_located(settings, raw)).root(meta)
    names = _load(tree, meta).get(names_key)
    if not isinstance(names, list) or not all(isinstance(name, str | bytes) for name in names):
        raise UserError(f"{tree.show(meta)}: not a CIFAR batch (no list '{names_key}')")
    classes = tuple(name.decode("latin1") if isinstance(name, bytes) else name for name in names)
    return RawData(
        name=settings.source,
        classes=classes,
        channels=_SHAPE[2],
        train=_part(tree, train, labels_key, len(classes)),
        test=_part(tree, test, labels_key, len(classes)),
        origin=tree.origin,
    )


def _part(tree: Tree, files: tuple[str, ...], labels_key: str, classes: int) -> RawPart:
    batches = [_batch(tree, file, labels_key, classes) for file in files]
    labels, images = (np.concatenate(arrays) for arrays in zip(*batches, strict=True))
    return RawPart(labels, images)


def _batch(tree: Tree, file: str, labels_key: str, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Return labels (N,) and images (N, 32, 32, 3) of one file."""
    batch = _load(tree, file)
    pixels, labels = batch.get("data"), batch.get(labels_key)
    if (
        not isinstance(pixels, _Array)
        or not isinstance(labels, list)
        or not all(isinstance(label, int) and 0 <= label < classes for label in labels)
        or pixels.shape != (len(labels), math.prod(_SHAPE))
    ):
        raise UserError(
            f"{tree.show(file)}: not a CIFAR batch (its data and {labels_key} do not fit)"
        )
    height, width, channels = _SHAPE
    planes = pixels.values().reshape(len(labels), channels, height, width)
    return np.asarray(labels, dtype=np.int64), planes.transpose(0, 2, 3, 1)


def _load(tree: Tree, name: str) -> dict[str, Any]:
    """Return the dictionary in a batch file, its keys as text."""
    content = tree.read(name)
    try:
        items = _Unpickler(io.BytesIO(content), encoding="bytes").load().items()
    # A pickle that is damaged or forged can fail in any way.
    except Exception as error:
        raise UserError(f"{tree.show(name)}: not a CIFAR batch ({error})") from None
    return {key.decode("latin1") if isinstance(key, bytes) else key: value for key, value in items}


class _Unpickler(pickle.Unpickler):
    """Maps the few names that CIFAR's pickles use to stand-ins that run nothing."""

    def find_class(self, module: str, name: str) -> Any:
        """Return the stand-in for a name.

        Raises:
            pickle.UnpicklingError: the batches need no such name.
        """
        try:
            return _STAND_INS[module.replace("numpy._core", "numpy.core"), name]
        except KeyError:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}") from None


class _Array:
    """Stands in for a NumPy array while it is unpickled."""

    shape: tuple[int, ...] = ()

    def __init__(self, *_: object) -> None:
        self._content = b""

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, self.shape, kind, column_major, self._content = state
        if not isinstance(kind, _Bytes) or column_major:
            raise pickle.UnpicklingError("its array is not one of bytes in row-major order")
        if not isinstance(self._content, bytes) or math.prod(self.shape) != len(self._content):
            raise pickle.UnpicklingError("its array has another size than it says")

    def values(self) -> np.ndarray:
        """Return the array."""
        return np.frombuffer(self._content, dtype=np.uint8).reshape(self.shape)


class _Bytes:
    """Stands in for the type of unsigned bytes, the only one that pixels have."""

    def __init__(self, code: object, *_: object) -> None:
        if code not in (b"u1", "u1"):
            raise pickle.UnpicklingError(f"its array has elements of type {code!r}")

    def __setstate__(self, state: object) -> None:
        """Ignore byte order and alignment, which single bytes do not have."""


def _encoded(text: object, encoding: object = "latin1") -> bytes:
    """Stand in for ``codecs.encode``, by which Python 3 writes bytes for Python 2."""
    if isinstance(text, str) and encoding in ("latin1", b"latin1"):
        return text.encode("latin1")
    raise pickle.UnpicklingError("it encodes what is no text")


_STAND_INS: dict[tuple[str, str], Any] = {
    ("numpy.core.multiarray", "_reconstruct"): _Array,
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _Bytes,
    ("_codecs", "encode"): _encoded,
}


def _located(settings: Source, raw: RawFiles) -> Path:
    """Return the path of the raw data, after downloading them if need be."""
    if settings.path:
        return raw.locate(settings.places)
    return raw.find(settings.places) or _downloaded(settings.source, raw.roots[0])


def published() -> dict[str, str]:
    """Return the MD5 of each official file: of the archives, and of what they unpack to."""
    from torchvision.datasets import CIFAR10, CIFAR100

    found: dict[str, str] = {}
    for official in (CIFAR10, CIFAR100):
        found[official.filename] = official.tgz_md5
        found |= dict([*official.train_list, *official.test_list])
        found[official.meta["filename"]] = official.meta["md5"]
    return found


def _downloaded(source: str, folder: Path) -> Path:
    """Fetch the official archive into ``folder``."""
    from torchvision.datasets import CIFAR10, CIFAR100

    official = {"cifar10": CIFAR10, "cifar100": CIFAR100}[source]
    unpacked = SOURCES[source].paths[0]
    return fetch(
        official.url,
        folder / official.filename,
        official.tgz_md5,
        f"put the file, or the folder {unpacked} that it unpacks to, into {folder}",
    )

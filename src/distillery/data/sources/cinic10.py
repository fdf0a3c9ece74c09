"""CINIC-10 (Darlow et al. 2018, arXiv:1810.03505): 32 x 32 images of CIFAR-10's classes.

Three parts of 90,000 images, ``train/<class>/*``, ``valid/<class>/*`` and ``test/<class>/*``. What
is trained on is said by the name of the source: ``cinic10`` takes ``train``, and
``cinic10-train-valid`` takes ``train`` and ``valid``. Images are normalised as the authors do.

The test part holds all test images of CIFAR-10 and 10,000 of its training images: see
``leakage``.
"""

from __future__ import annotations

from distillery.core.errors import UserError
from distillery.data.files import RawFiles, Tree
from distillery.data.images import ImageFiles, is_image
from distillery.data.raw import DECODED, RawData, RawPart, SourceFacts
from distillery.data.settings import Source

_PATHS = ("CINIC-10", "CINIC-10.tar.gz")
SOURCES = {
    "cinic10": SourceFacts(
        _PATHS,
        (32, 3),
        num_classes=10,
        smallest_class=9000,
        per_class=(9000,) * 10,
        decoded=True,
        heeds=DECODED,
    ),
    "cinic10-train-valid": SourceFacts(
        _PATHS,
        (32, 3),
        num_classes=10,
        smallest_class=18_000,
        per_class=(18_000,) * 10,
        decoded=True,
        heeds=DECODED,
    ),
}
_TRAINED_ON = {"cinic10": ("train",), "cinic10-train-valid": ("train", "valid")}
_NORMALISATION = (0.4789, 0.4723, 0.4305), (0.2421, 0.2383, 0.2587)


def read(settings: Source, raw: RawFiles) -> RawData:
    """List the images; they are decoded when they are asked for."""
    tree = raw.tree(raw.locate(settings.places)).root("train")
    classes = _classes(tree)
    return RawData(
        name=settings.source,
        classes=classes,
        channels=3,
        train=_part(tree, _TRAINED_ON[settings.source], classes, settings),
        test=_part(tree, ("test",), classes, settings),
        origin=tree.origin,
        normalisation=_NORMALISATION,
    )


def _classes(tree: Tree) -> tuple[str, ...]:
    folders = (name for name in tree.folders if name.rpartition("/")[0] == "train")
    classes = tuple(sorted(folder.rpartition("/")[2] for folder in folders))
    if not classes:
        raise UserError(f"{tree.show('train')}: no folders with images, one for each class")
    return classes


def _part(
    tree: Tree, parts: tuple[str, ...], classes: tuple[str, ...], settings: Source
) -> RawPart:
    """Return the images of one or more parts, part by part and class by class."""
    found: dict[str, list[str]] = {f"{part}/{name}": [] for part in parts for name in classes}
    for name in filter(is_image, tree.files):
        found.get(name.rpartition("/")[0], []).append(name)
    for folder, members in found.items():
        if not members:
            raise UserError(f"{tree.show(folder)}: no images of this class")
    labels = [
        label
        for number, members in enumerate(found.values())
        for label in [number % len(classes)] * len(members)
    ]
    names = [name for members in found.values() for name in members]
    return ImageFiles(tree, names).part(labels, settings)

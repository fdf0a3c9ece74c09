"""Tiny-ImageNet in its official layout, with any number of its classes, as folder or archive.

``wnids.txt`` lists the classes, ``words.txt`` their names, ``train/<wnid>/images`` the training
images, and ``val/val_annotations.txt`` the class of each image in ``val/images``. The validation
part serves as test set, since the official test images have no labels.
"""

from __future__ import annotations

from distillery.core.errors import UserError
from distillery.data.files import RawFiles, Tree
from distillery.data.images import ImageFiles, channels_of, is_image
from distillery.data.raw import DECODED, RawData, SourceFacts
from distillery.data.settings import Source

SOURCES = {
    "tiny-imagenet": SourceFacts(
        ("tiny-imagenet-200", "tiny-imagenet-200.zip"), decoded=True, heeds=DECODED
    )
}
_CLASSES = "wnids.txt"
_ANNOTATIONS = "val/val_annotations.txt"


def read(settings: Source, raw: RawFiles) -> RawData:
    """List the images; they are decoded when they are asked for."""
    tree = raw.tree(raw.locate(settings.places)).root(_CLASSES)
    wnids = sorted({line.strip() for line in tree.lines(_CLASSES)} - {""})
    train, train_labels = _training(tree, wnids)
    test, test_labels = _validation(tree, wnids)
    return RawData(
        name=settings.source,
        classes=_names(tree, wnids),
        channels=channels_of(train),
        train=train.part(train_labels, settings),
        test=test.part(test_labels, settings),
        origin=tree.origin,
    )


def _names(tree: Tree, wnids: list[str]) -> tuple[str, ...]:
    """Return ``<wnid> <first word>`` of every class, since words alone may come twice."""
    words = dict(line.split("\t", 1) for line in tree.lines("words.txt") if "\t" in line)
    return tuple(f"{wnid} {words.get(wnid, '').split(',')[0]}".strip() for wnid in wnids)


def _training(tree: Tree, wnids: list[str]) -> tuple[ImageFiles, list[int]]:
    found: dict[str, list[str]] = {f"train/{wnid}/images": [] for wnid in wnids}
    for name in filter(is_image, tree.files):
        found.get(name.rpartition("/")[0], []).append(name)
    for folder, files in found.items():
        if not files:
            raise UserError(f"{tree.show(folder)}: no images of this class")
    labels = [label for label, files in enumerate(found.values()) for _ in files]
    return ImageFiles(tree, [name for files in found.values() for name in files]), labels


def _validation(tree: Tree, wnids: list[str]) -> tuple[ImageFiles, list[int]]:
    label_of = {wnid: label for label, wnid in enumerate(wnids)}
    annotated = {}
    for number, line in enumerate(tree.lines(_ANNOTATIONS), start=1):
        file, wnid, *_ = [*line.split("\t"), ""]
        name = f"val/images/{file}"
        if wnid not in label_of:
            raise UserError(f"{tree.show(_ANNOTATIONS)}: line {number} names no class: {line!r}")
        if name not in tree.files:
            raise UserError(f"{tree.show(name)}: no such file, but it is annotated")
        annotated[name] = label_of[wnid]
    missing = set(label_of.values()) - set(annotated.values())
    if missing:
        raise UserError(f"{tree.show(_ANNOTATIONS)}: no image of class {wnids[min(missing)]}")
    names = sorted(annotated)
    return ImageFiles(tree, names), [annotated[name] for name in names]

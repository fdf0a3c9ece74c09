"""Any set of image files: ``train/<class>/*`` and ``test/<class>/*`` (or ``val``).

The root may be a folder or an archive of one, with the two parts in it or one level down. Classes
are sorted by name and files by name within their class.
"""

from __future__ import annotations

from distillery.core.errors import UserError
from distillery.data.files import RawFiles, Tree
from distillery.data.images import ImageFiles, channels_of, is_image
from distillery.data.raw import RawData, SourceFacts
from distillery.data.settings import Source

SOURCES = {"image-folder": SourceFacts(decoded=True)}
_TRAIN = "train"
_TEST = ("test", "val")


def read(settings: Source, raw: RawFiles) -> RawData:
    """List the images; they are decoded when they are asked for.

    Raises:
        UserError: files are missing, damaged, or not laid out as the source demands.
    """
    path = raw.locate([str(settings.path)])
    tree = raw.tree(path, settings.sha256).root(_TRAIN)
    test_part = next((part for part in _TEST if part in tree.folders), None)
    if test_part is None:
        raise UserError(f"{tree.show(_TEST[0])}: no such folder, nor {' or '.join(_TEST[1:])}")
    train, test = _classes(tree, _TRAIN), _classes(tree, test_part)
    if train.keys() != test.keys():
        part, name = min(
            (part, name)
            for part, classes in ((_TRAIN, train), (test_part, test))
            for name in (train.keys() | test.keys()) - classes.keys()
        )
        raise UserError(f"{tree.show(part)}/{name}: no such class, but the other part has it")
    (train_images, train_labels), (test_images, test_labels) = (
        _listed(tree, part) for part in (train, test)
    )
    return RawData(
        name=path.name.partition(".")[0],
        classes=tuple(train),
        channels=channels_of(train_images, train_labels),
        train=train_images.part(train_labels, settings.image_size),
        test=test_images.part(test_labels, settings.image_size),
        origin=tree.origin,
    )


def _classes(tree: Tree, part: str) -> dict[str, list[str]]:
    """Return class -> files of one part, both sorted."""
    folders = sorted(name for name in tree.folders if name.rpartition("/")[0] == part)
    if not folders:
        raise UserError(f"{tree.show(part)}: no folders with images, one for each class")
    classes: dict[str, list[str]] = {folder.rpartition("/")[2]: [] for folder in folders}
    for name in tree.files:
        above, _, folder = name.rpartition("/")[0].rpartition("/")
        if above == part and is_image(name):
            classes[folder].append(name)
    for name, files in classes.items():
        if not files:
            raise UserError(f"{tree.show(part)}/{name}: no images in this class")
    return classes


def _listed(tree: Tree, classes: dict[str, list[str]]) -> tuple[ImageFiles, list[int]]:
    files = [file for members in classes.values() for file in members]
    labels = [label for label, members in enumerate(classes.values()) for _ in members]
    return ImageFiles(tree, files), labels

"""Any set of image files: a folder for each class, in a training and a test part or without them.

The root may be a folder or an archive of one, with the two parts in it or one level down. Parts are
found by their usual names (``train``; ``test``, ``val`` and the like) in any case, or named in the
settings. Without a test part a stratified one is drawn from the training part; without any parts
the folders are the classes, and the test part is drawn from all.

A class has all images below its folder, at any depth. Classes are sorted by name, and files by name
within their class.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath

from distillery.core.errors import UserError
from distillery.core.randomness import generator
from distillery.data.files import RawFiles, Tree
from distillery.data.images import ImageFiles, is_image
from distillery.data.raw import DECODED, RawData, SourceFacts
from distillery.data.settings import Parts, Source
from distillery.data.survey import Survey, survey

SOURCES = {
    "image-folder": SourceFacts(
        decoded=True, heeds=DECODED | {"parts", "test_fraction", "test_seed"}
    )
}
# In the order in which they are preferred.
_TRAIN = ("train", "training")
_TEST = ("test", "testing", "val", "valid", "validation", "eval")
# Names of files that a note gives of those that are left out.
_NAMED = 3

Classes = dict[str, list[str]]
"""Class -> names of its image files, both sorted."""


def read(settings: Source, raw: RawFiles) -> RawData:
    """List the images; they are decoded when they are asked for.

    Raises:
        UserError: files are missing, damaged, or not laid out as the source demands.
    """
    path = raw.locate(settings.places)
    whole = raw.tree(path)
    tree, parts, notes = _layout(whole, settings.parts)
    train = _classes(tree, parts.train)
    if parts.test is None:
        train, test = _drawn(tree, train, settings)
        share, seed = f"{100 * settings.test_fraction:g} %", settings.test_seed
        notes.append(f"no test part: {share} of each class's images are drawn (test_seed {seed})")
    else:
        test = _classes(tree, parts.test)
        _require_same(tree, {parts.train: train, parts.test: test})
    images = {name: _listed(tree, classes) for name, classes in (("train", train), ("test", test))}
    every = ImageFiles(tree, [name for classes in (train, test) for name in _files(classes)])
    found = survey(every)
    _require_one_size(every, found, settings)
    notes += found.notes(settings.background)
    notes += _unusual_order([*train])
    notes += _left_out(tree, {*_files(train), *_files(test)}, whole)
    (train_images, train_labels), (test_images, test_labels) = images.values()
    return RawData(
        name=path.name.partition(".")[0],
        classes=tuple(train),
        channels=found.channels,
        train=train_images.part(train_labels, settings),
        test=test_images.part(test_labels, settings),
        origin=tree.origin,
        notes=tuple(notes),
    )


def _layout(tree: Tree, named: Parts | None) -> tuple[Tree, Parts, list[str]]:
    """Return the tree from where the parts are, their folders, and what to say of them.

    Raises:
        UserError: there are no parts, or not the named ones, and no folders of classes.
    """
    if named:
        root = tree.root(named.train)
        for folder in filter(None, (named.train, named.test)):
            if folder not in root.folders:
                raise UserError(f"{root.show(folder)}: no such folder")
        return root, named, []
    for root in _roots(tree):
        tops = {name.lower(): name for name in _tops(root)}
        train = next((tops[name] for name in _TRAIN if name in tops), None)
        if train:
            test, notes = _test_part(root, [tops[name] for name in _TEST if name in tops])
            return root, Parts(train=train, test=test), notes
    for root in _roots(tree):
        images = filter(is_image, root.files)
        classes = {name.partition("/")[0] for name in images if "/" in name}
        if {name.lower() for name in _tops(root)} & {*_TEST}:
            # A test part without a training part: its classes are not the set's.
            break
        if len(classes) > 1:
            return root, Parts(train=""), [f"{len(classes)} folders are taken for the classes"]
    shown = ", ".join(_tops(tree)) or "no folders"
    raise UserError(
        f"{tree.label.rstrip('/:')}: neither a folder 'train' nor two or more folders of classes, "
        f"here or one level down (found: {shown}); name its parts by data.parts: "
        "{train: FOLDER, test: FOLDER}"
    )


def _roots(tree: Tree) -> Iterator[Tree]:
    """Yield the tree, and what lies below each of its topmost folders."""
    yield tree
    for name in _tops(tree):
        yield tree.below(f"{name}/")


def _tops(tree: Tree) -> list[str]:
    """Return the topmost folders, sorted."""
    return sorted(name for name in tree.folders if "/" not in name)


def _test_part(tree: Tree, candidates: list[str]) -> tuple[str | None, list[str]]:
    """Return the first candidate that has folders of classes, and what to say of others."""
    notes: list[str] = []
    for name in candidates:
        if any(folder.rpartition("/")[0] == name for folder in tree.folders):
            return name, notes + ([f"the test part is {name}"] if notes else [])
        notes.append(f"{name} has no folders of classes, so that it is no test part")
    return None, notes


def _classes(tree: Tree, part: str) -> Classes:
    """Return the classes of one part; the whole tree is one where its name is empty."""
    inside = f"{part}/" if part else ""
    folders = sorted(name for name in tree.folders if name.rpartition("/")[0] == part)
    if not folders:
        raise UserError(f"{tree.show(part)}: no folders with images, one for each class")
    classes: Classes = {folder.rpartition("/")[2]: [] for folder in folders}
    for name in tree.files:
        top, below, _ = name.removeprefix(inside).partition("/")
        if name.startswith(inside) and below and is_image(name):
            classes[top].append(name)
    for name, files in classes.items():
        if not files:
            raise UserError(f"{tree.show(inside)}{name}: no images in this class")
    return classes


def _require_same(tree: Tree, parts: Mapping[str, Classes]) -> None:
    """Demand the same classes of both parts.

    Raises:
        UserError: one has a class that the other lacks.
    """
    every = set().union(*parts.values())
    missing = [(part, name) for part, classes in parts.items() for name in every - classes.keys()]
    if missing:
        part, name = min(missing)
        raise UserError(f"{tree.show(part)}/{name}: no such class, but the other part has it")


def _drawn(tree: Tree, classes: Classes, settings: Source) -> tuple[Classes, Classes]:
    """Return classes without their test images, and the test images of each.

    How many are drawn of a class, and which, depends on its own files alone.

    Raises:
        UserError: a class has too few images.
    """
    train, test = {}, {}
    for number, (name, files) in enumerate(classes.items()):
        if len(files) < 2:
            raise UserError(
                f"{tree.show(files[0])}: the only image of the class '{name}', of which a test "
                "image has to be drawn; add images or a test part"
            )
        count = min(max(1, round(settings.test_fraction * len(files))), len(files) - 1)
        order = generator(settings.test_seed, "test part", number).permutation(len(files))
        chosen = {files[each] for each in order[:count]}
        test[name] = sorted(chosen)
        train[name] = [file for file in files if file not in chosen]
    return train, test


def _files(classes: Classes) -> Iterator[str]:
    for members in classes.values():
        yield from members


def _listed(tree: Tree, classes: Classes) -> tuple[ImageFiles, list[int]]:
    labels = [label for label, members in enumerate(classes.values()) for _ in members]
    return ImageFiles(tree, [*_files(classes)]), labels


def _require_one_size(images: ImageFiles, found: Survey, settings: Source) -> None:
    """Demand images of one size where they are not resized.

    Raises:
        UserError: one has another size.
    """
    if settings.image_size or found.odd is None:
        return
    (width, height), (first_width, first_height) = (
        images.header(number).size for number in (found.odd, 0)
    )
    raise UserError(
        f"{images.name(found.odd)}: {height} x {width} pixels, but the first training image has "
        f"{first_height} x {first_width}; set image_size to resize all"
    )


def _unusual_order(classes: list[str]) -> list[str]:
    """Say how classes are sorted where other programs may have sorted them otherwise."""
    if sorted(classes, key=_by_value) == classes:
        return []
    some = ", ".join(classes[:_NAMED]) + (", ..." if len(classes) > _NAMED else "")
    return [
        f"classes are numbered in the order of their bytes, {some}: a checkpoint from elsewhere "
        "may have another order"
    ]


def _by_value(name: str) -> tuple[bool, int, str]:
    """Return what numbers and words are sorted by, upper and lower case alike."""
    return not name.isdecimal(), int(name) if name.isdecimal() else 0, name.casefold()


def _left_out(tree: Tree, used: set[str], whole: Tree) -> list[str]:
    """Return what to say of files that are not used: how many of which kind, and some names."""
    kinds: dict[str, list[str]] = {}
    for name in tree.files:
        if name not in used:
            suffix = PurePosixPath(name).suffix.lower()
            where = f"images in {name.rpartition('/')[0] or 'no folder'}"
            kinds.setdefault(
                where if is_image(name) else f"{suffix or 'without a suffix'}", []
            ).append(name)
    notes = []
    for kind, names in sorted(kinds.items()):
        some = ", ".join(names[:_NAMED]) + (", ..." if len(names) > _NAMED else "")
        notes.append(f"left out: {_counted(len(names))}, {kind} ({some})")
    beside = len(whole.files) - len(tree.files)
    if beside:
        notes.append(f"left out: {_counted(beside)} beside the folder that has the parts")
    return notes


def _counted(files: int) -> str:
    return "1 file" if files == 1 else f"{files} files"

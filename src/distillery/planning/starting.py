"""A first params file for a folder of images: what was found there, and settings that fit it."""

from __future__ import annotations

import json
import re
import statistics
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from distillery.core.errors import UserError
from distillery.core.files import write_atomically
from distillery.data.contents import folder_of_raw_files
from distillery.data.files import RawFiles, find, roots_of
from distillery.data.images import ImageFiles
from distillery.data.reading import read
from distillery.data.settings import Source
from distillery.data.survey import Survey, survey

_SOURCE = "image-folder"
# Shorter sides from which images are worth 64 pixels, and the largest that are left as they are.
_LARGE, _AS_IT_IS = 96, 64
# Image passes of a student: some minutes on one core for images of 32 pixels.
_PASSES = 60_000
_SHOWN_CLASSES = 12

_TEMPLATE = """\
# {summary}
# Every setting is explained in docs/params.md, and those of data in docs/data.md.
name: {name}
title: {title}

data:
  source: {source}
  # Looked up in data/raw and $DISTILLERY_DATA, unless it begins with a slash. What has been made
  # of the images depends on what they are, not on where they lie.
  path: {path}
{data}
compute: {{precision: no}}

training:
  # {epochs} passes over {train} images: enough for a first table. More make better networks.
  epochs: {epochs}
  batch_size: {batch}
  lr: {rate:g}
  evaluate_every: {every}

teachers:
  # Other networks: resnet56, resnet32x4, wrn_40_2, ... A wrong name lists them all.
  resnet20: {{arch: resnet20}}

pairs:
  resnet20-resnet8: {{teacher: resnet20, student: resnet8}}

# A row of the table each; `distillery methods` lists all.
methods:
  ce: {{}}
  kd: {{}}
  dkd: {{}}
  crd: {{}}

# Three students a method, so that differences can be told from chance.
seeds: [0, 1, 2]
"""


@dataclass(frozen=True)
class Found:
    """What lies in a folder or archive of images.

    Attributes:
        source: how it is read.
        name: an id for it.
        classes: names of the classes.
        train, test: images of each class.
        survey: what the heads of all images say.
        notes: what was drawn and left out.
    """

    source: Source
    name: str
    classes: tuple[str, ...]
    train: tuple[int, ...]
    test: tuple[int, ...]
    survey: Survey
    notes: tuple[str, ...]

    @property
    def summary(self) -> str:
        """One sentence about the images."""
        return (
            f"{sum(self.train)} training and {sum(self.test)} test images of "
            f"{len(self.classes)} classes."
        )

    @property
    def image_size(self) -> int | None:
        """Size to bring the images to; None if they can stay as they are."""
        sizes = self.survey.sizes
        (width, height) = next(iter(sizes))
        if len(sizes) == 1 and width == height <= _AS_IT_IS:
            return None
        shorter = statistics.median_low(min(size) for size in sizes.elements())
        return 64 if shorter >= _LARGE else 32

    def lines(self) -> Iterator[str]:
        """Yield what to say of the images."""
        yield f"{self.source.path}: {self.summary}"
        for name, train, test in [*zip(self.classes, self.train, self.test, strict=True)][
            :_SHOWN_CLASSES
        ]:
            yield f"  {name}: {train} + {test}"
        if len(self.classes) > _SHOWN_CLASSES:
            yield f"  ... and {len(self.classes) - _SHOWN_CLASSES} more classes"
        sizes, modes = self.survey.sizes, self.survey.modes
        least, most = (choose(sizes, key=lambda size: size[0] * size[1]) for choose in (min, max))
        extent = f"{least[0]} x {least[1]}"
        extent += f" to {most[0]} x {most[1]}" if least != most else ""
        yield f"  pixels: {extent}; kinds: " + ", ".join(
            f"{count} {mode}" for mode, count in modes.most_common()
        )
        for note in self.notes:
            yield f"  {note}"


def look_at(folder: Path, data: Path) -> Found:
    """Look at a folder or an archive of images.

    Args:
        folder: where it is, as a path or as a name among the raw files.
        data: the data folder.

    Raises:
        UserError: there is none, or its images cannot be read or told apart.
    """
    path = _named(folder, data)
    # All images count, whatever their sizes are.
    source = Source(source=_SOURCE, path=path, image_size=32)
    with RawFiles.opened(folder_of_raw_files(data), None, verified=False) as raw:
        found = read(source, raw)
        parts = (found.train, found.test)
        heads = [survey(part.images) for part in parts if isinstance(part.images, ImageFiles)]
        train, test = (
            tuple(np.bincount(part.labels, minlength=len(found.classes)).tolist()) for part in parts
        )
    return Found(
        source=source,
        name=re.sub("[^A-Za-z0-9]+", "-", found.name).strip("-") or "images",
        classes=found.classes,
        train=train,
        test=test,
        survey=heads[0].joined(heads[1]),
        notes=found.notes,
    )


def write(found: Found, file: Path) -> None:
    """Write a commented params file.

    Raises:
        UserError: there is a file of this name.
    """
    if file.exists():
        raise UserError(f"{file}: exists; name another one by --params")
    write_atomically(file, params_text(found).encode())


def params_text(found: Found) -> str:
    """Return a params file whose settings fit the images."""
    train = sum(found.train)
    batch = 2 ** int(np.log2(np.clip(train / 4, 8, 64)))
    epochs = int(np.clip(round(_PASSES / train), 10, 240))
    return _TEMPLATE.format(
        summary=found.summary,
        name=found.name,
        title=json.dumps(f"Distillation on {found.name}"),
        source=_SOURCE,
        path=json.dumps(found.source.path, ensure_ascii=False),
        data="".join(f"  {line}\n" for line in _data_lines(found)),
        train=train,
        epochs=epochs,
        batch=batch,
        rate=0.05 * batch / 64,
        every=max(1, epochs // 10),
    )


def _data_lines(found: Found) -> Iterator[str]:
    """Yield the lines of the section ``data`` that depend on the images."""
    if found.image_size:
        yield "# Networks see squares of this size; larger ones take longer by the square."
        yield f"image_size: {found.image_size}"
        if any(width != height for width, height in found.survey.sizes):
            yield "# `squash` squeezes images into the square, `crop` cuts out their centre."
            yield "resize: squash"
    if found.survey.transparent:
        yield "# What transparent images are laid over."
        yield "background: white"
    if any(note.startswith("no test part") for note in found.notes):
        yield "# There is no test part: this share of each class is drawn, once and for all."
        yield f"test_fraction: {found.source.test_fraction:g}"
    yield "# Set flip to false where a mirrored image is of another class, as with letters."
    yield "augmentation: {flip: true}"


def _named(folder: Path, data: Path) -> str:
    """Return how a params file names a folder: relative to the raw files if it lies there.

    Raises:
        UserError: there is no such folder.
    """
    roots = roots_of(folder_of_raw_files(data))
    path = folder if folder.exists() else find([str(folder)], roots)
    if path is None:
        raise UserError(
            f"{folder}: no such folder or archive, nor in {' or '.join(map(str, roots))}"
        )
    for root in roots:
        if path.absolute().is_relative_to(root.absolute()):
            return path.absolute().relative_to(root.absolute()).as_posix()
    return str(path.resolve())

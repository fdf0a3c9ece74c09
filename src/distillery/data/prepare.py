"""The stage ``prepare``: raw files of any kind become one canonical form.

Each part is a Parquet file with the columns ``index`` (int32, 0 to N-1), ``label`` (int32) and
``image`` (H * W * C bytes, row by row). Images stream through in groups of rows, so that memory
does not depend on the size of the set; the job's cores decode them. Images that are to be streamed
later, too, are no column but a file of their own (see ``stored``).
"""

from __future__ import annotations

import contextlib
import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from distillery.core.errors import UserError
from distillery.core.files import require_space
from distillery.core.processes import available_cores
from distillery.data.colour import stored_lab
from distillery.data.contents import agrees_with_published
from distillery.data.decoding import Images, decoded_groups
from distillery.data.files import RawFiles
from distillery.data.images import Resizing, resized, with_channels
from distillery.data.info import INFO, DataSetInfo, Part, part_file, stream_file
from distillery.data.raw import RawData, RawPart
from distillery.data.reading import read
from distillery.data.settings import PrepareSettings, Reading, Source

if TYPE_CHECKING:
    from distillery.runs.produce import Workspace

_GROUP_ROWS = 4096
_GROUP_BYTES = 2**26
LARGEST_IN_MEMORY = 2**32
# Starting a process takes as long as decoding some tens of images.
_IMAGES_A_PROCESS = 512

Settings = PrepareSettings


def run(work: Workspace) -> None:
    """Write ``train.parquet``, ``test.parquet`` and ``info.json``.

    Raises:
        UserError: the raw data are missing, damaged or unsuitable.
    """
    settings = Settings.model_validate(work.run.settings)
    source = settings.located(work.run.outside)
    with RawFiles.opened(work.raw, work.scratch) as raw:
        data = read(source, raw)
        _require_contents(settings, source, raw)
        form = _Form.of(data, settings)
        pixels = sum(len(part.labels) for part in (data.train, data.test)) * math.prod(form.shape)
        require_space(work.out, pixels)
        cores = available_cores() if settings.facts.decoded else 1
        train = _write(work.out, "train", data.train, form, cores)
        test = _write(work.out, "test", data.test, form, cores)
    mean, std = _normalisation(data, train, form)
    info = DataSetInfo(
        name=data.name,
        classes=data.classes,
        shape=form.shape,
        mean=mean,
        std=std,
        counts={"train": len(data.train.labels), "test": len(data.test.labels)},
        per_class={"train": _per_class(data.train, data), "test": _per_class(data.test, data)},
        shared=len(test.digests) - len(set(test.digests) - set(train.digests)),
        origin=data.origin,
        notes=data.notes,
    )
    for note in data.notes:
        print(f"{data.name}: {note}")
    work.write_json(INFO, info.model_dump(mode="json"))


def _require_contents(settings: PrepareSettings, source: Source, raw: RawFiles) -> None:
    """Demand that what was opened is what the run's key stands for.

    Raises:
        UserError: it is something else by now.
    """
    for path, digest in raw.opened_as.items():
        if settings.contents is None:
            is_same = source.facts.downloaded and agrees_with_published(source.source, path)
        else:
            is_same = digest == settings.contents
        if not is_same:
            raise UserError(
                f"{path}: is not what the plan was made for, it has changed since; start again, "
                "and all that hangs on it is made anew"
            )


@dataclass(frozen=True)
class _Form:
    """What every image of the set is brought to.

    Attributes:
        shape: height, width, channels.
        resizing: how images of other sizes are resized; None if they are refused.
        may_lose_colour: whether the user asked for grey images.
        streamed: whether images are to be read from disk while they are used; None for: those of
            large parts.
        is_lab: whether colours are stored as luminance and chrominance.
    """

    shape: tuple[int, int, int]
    resizing: Resizing | None
    may_lose_colour: bool
    streamed: bool | None = None
    is_lab: bool = False

    @classmethod
    def of(cls, data: RawData, settings: Reading) -> _Form:
        """Follow the settings, and the first training image where they are silent."""
        side = settings.image_size
        height, width = (side, side) if side else data.train.images[0].shape[:2]
        is_lab = settings.colour == "lab"
        shape = (height, width, settings.channels or (3 if is_lab else data.channels))
        resizing = Resizing.of(settings)
        return cls(shape, resizing, settings.channels == 1, settings.streamed, is_lab)

    def is_streamed(self, images: int) -> bool:
        """Tell whether a part of so many images is to be streamed."""
        if self.streamed is None:
            return images * math.prod(self.shape) > LARGEST_IN_MEMORY
        return self.streamed

    def applied(self, image: np.ndarray, name: str) -> np.ndarray:
        """Return one image in this form, (H, W, C) uint8."""
        height, width, channels = self.shape
        if self.resizing:
            image = resized(image, self.resizing)
        elif image.shape[:2] != (height, width):
            raise UserError(
                f"{name}: {image.shape[0]} x {image.shape[1]} pixels, but the first training image "
                f"has {height} x {width}; set image_size to resize all"
            )
        if (image.shape[2], channels) == (3, 1) and not self.may_lose_colour:
            raise UserError(f"{name}: a colour image in a set of grey ones; set channels to 1 or 3")
        try:
            image = with_channels(image, channels)
        except ValueError as error:
            raise UserError(f"{name}: {error}") from None
        return stored_lab(image) if self.is_lab else image


def as_prepared(
    image: np.ndarray, name: str, shape: tuple[int, int, int], settings: Reading
) -> np.ndarray:
    """Return an image of any size as those of a prepared data set are, (H, W, C) uint8.

    Args:
        image: (h, w, 1 or 3) uint8, grey, or red, green and blue.
        name: what to call it in a message.
        shape: height, width and channels of the data set's images.
        settings: the settings that it was prepared with.
    """
    # A set of equal images asks for no size; what belongs to none has to get that of its images.
    resizing = Resizing.of(settings) or Resizing(shape[0])
    form = _Form(shape, resizing, may_lose_colour=True, is_lab=settings.colour == "lab")
    return form.applied(image, name)


@dataclass
class _Summary:
    """What is learned of a part while it is written.

    Attributes:
        digests: one hash of the pixels an image.
        pixels: number of pixels.
        sums, squares: per channel, the exact sums over all pixels of values 0 to 255.
    """

    digests: list[bytes] = field(default_factory=list)
    pixels: int = 0
    sums: list[int] = field(default_factory=list)
    squares: list[int] = field(default_factory=list)

    @classmethod
    def of(cls, images: np.ndarray) -> _Summary:
        """Return what images (n, H, W, C) say."""
        _, height, width, channels = images.shape
        # Rows of pixels are added up first: over channels alone it takes ten times as long.
        rows = images.reshape(-1, width * channels)
        # 255 squared still fits 16 bits.
        powers = rows, np.square(rows, dtype=np.uint16)
        sums, squares = (
            power.sum(axis=0, dtype=np.int64).reshape(width, channels).sum(axis=0).tolist()
            for power in powers
        )
        digests = [hashlib.blake2b(image, digest_size=16).digest() for image in images]
        return cls(digests, len(images) * height * width, sums, squares)

    def add(self, other: _Summary) -> None:
        """Take account of what was learned of more images."""
        self.digests += other.digests
        self.pixels += other.pixels
        self.sums = _added(self.sums or [0] * len(other.sums), other.sums)
        self.squares = _added(self.squares or [0] * len(other.squares), other.squares)

    def mean_and_std(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Return mean and (population) standard deviation of each channel in units of 0 to 1.

        Raises:
            UserError: a channel is constant, so that it cannot be normalised.
        """
        count = self.pixels
        mean, std = [], []
        for channel, (total, squares) in enumerate(zip(self.sums, self.squares, strict=True)):
            # In whole numbers up to here, so that nothing cancels.
            spread = count * squares - total**2
            if spread == 0:
                raise UserError(f"channel {channel} is the same in all pixels of the training set")
            mean.append(total / count / 255)
            std.append(math.sqrt(spread) / count / 255)
        return tuple(mean), tuple(std)


def _normalisation(
    data: RawData, train: _Summary, form: _Form
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return the official mean and deviation of each channel, or those of the training part."""
    official = data.normalisation
    fits = official and len(official[0]) == form.shape[2] and not form.is_lab
    return official if official and fits else train.mean_and_std()


def _added(one: list[int], other: list[int]) -> list[int]:
    return [a + b for a, b in zip(one, other, strict=True)]


def _write(folder: Path, name: Part, part: RawPart, form: _Form, cores: int) -> _Summary:
    """Write one part, decoded on so many cores, and return what was learned of it."""
    streamed = form.is_streamed(len(part.labels))
    image_type = pa.binary(math.prod(form.shape))
    fields = [
        pa.field("index", pa.int32(), nullable=False),
        pa.field("label", pa.int32(), nullable=False),
        *([] if streamed else [pa.field("image", image_type, nullable=False)]),
    ]
    layout = {"shape": " ".join(map(str, form.shape)), "layout": "height width channels"}
    schema = pa.schema(fields, metadata=layout)
    summary = _Summary()
    with contextlib.ExitStack() as stack:
        writer = stack.enter_context(
            pq.ParquetWriter(
                folder / part_file(name),
                schema,
                compression="zstd",
                use_dictionary=False,
                write_statistics=["index", "label"],
                write_page_checksum=True,
            )
        )
        if streamed:
            stream = stack.enter_context((folder / stream_file(name)).open("wb"))
            _begin(stream, (len(part.labels), *form.shape))
        for start, images, learned in _groups(part, form, _processes(part, cores)):
            stop = start + len(images)
            for some in learned:
                summary.add(some)
            columns = [
                pa.array(np.arange(start, stop, dtype=np.int32)),
                pa.array(part.labels[start:stop].astype(np.int32)),
            ]
            if streamed:
                stream.write(images.data)
            else:
                pixels = pa.py_buffer(images)
                columns.append(pa.Array.from_buffers(image_type, len(images), [None, pixels]))
            table = pa.Table.from_arrays(columns, schema=schema)
            writer.write_table(table, row_group_size=len(images))
    return summary


def _begin(stream: BinaryIO, shape: tuple[int, ...]) -> None:
    """Write the header of a NumPy file whose images follow one by one."""
    header = {"descr": "|u1", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(stream, header)


def _groups(
    part: RawPart, form: _Form, processes: int
) -> Iterator[tuple[int, np.ndarray, list[_Summary]]]:
    """Yield the row groups of a part in order; see ``decoded_groups``."""

    def decode(number: int) -> np.ndarray:
        return form.applied(part.images[number], part.name(number))

    rows = max(1, min(_GROUP_ROWS, _GROUP_BYTES // math.prod(form.shape)))
    images = Images(decode, len(part.labels), form.shape)
    return decoded_groups(images, rows, _Summary.of, processes)


def _processes(part: RawPart, cores: int) -> int:
    """Return how many processes a part is worth."""
    return max(1, min(cores, len(part.labels) // _IMAGES_A_PROCESS))


def _per_class(part: RawPart, data: RawData) -> tuple[int, ...]:
    return tuple(np.bincount(part.labels, minlength=len(data.classes)).tolist())

"""The stage ``prepare`` on a folder of JPEGs, beside decoding them and nothing else.

Bare decoding is Pillow's opening, converting and resizing of every file, shared out to as many
processes as ``prepare`` has; starting them is not counted. ``prepare`` is the whole stage, from
the folder to the published run.
"""

from __future__ import annotations

import io
import multiprocessing
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.rows import Row, ratio_row
from benchmarks.timing import in_turn, seconds
from distillery.core.processes import present_cores
from distillery.data import prepare
from distillery.planning import loading
from distillery.runs.produce import produce
from distillery.runs.run import Run

CLASSES, SIDE, DISTINCT = 7, 32, 3000
TARGET = 0.8
_PARAMS = """
name: pictures
title: Pictures
data: {{source: image-folder, path: pictures, image_size: {side}, streamed: {streamed}}}
teachers: {{t: {{arch: resnet8}}}}
pairs: {{p: {{teacher: t, student: resnet8}}}}
methods: {{ce: {{}}}}
"""


def measure(quick: bool = False) -> list[Row]:
    """Return the speed of ``prepare`` in units of bare decoding's."""
    images, rounds = (6_000, 3) if quick else (60_000, 3)
    cores = present_cores()
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        files = _image_folder(root / "raw" / "pictures", images)
        run = run_of(root, SIDE, streamed=False)
        with _decoders(files, cores) as decode_all:
            parts = {"bare": decode_all, "prepare": partial(_prepare, root, run)}
            times = in_turn({name: partial(seconds, part) for name, part in parts.items()}, rounds)
    bare, whole = times["bare"], times["prepare"]
    note = (
        f"{images} JPEGs of 32 to 64 pixels to {SIDE} x {SIDE}; {cores} cores; "
        f"{whole.min():.2f} s, bare {bare.min():.2f} s"
    )
    return [ratio_row("prepare / bare decoding", bare, whole, TARGET, note)]


def run_of(data: Path, side: int, *, streamed: bool) -> Run:
    """Return the run that prepares ``data/raw/pictures`` as squares of ``side`` pixels."""
    params = data / "pictures.yaml"
    params.write_text(_PARAMS.format(side=side, streamed=str(streamed).lower()), encoding="utf-8")
    (run,) = loading.load(params, data).stage("prepare")
    return run


def _prepare(root: Path, run: Run) -> None:
    shutil.rmtree(produce(root, run, prepare.run))


@contextmanager
def _decoders(files: list[str], processes: int) -> Iterator[Any]:
    """Yield a function that decodes all files in processes that are there already."""
    shares = [files[start : start + 64] for start in range(0, len(files), 64)]
    with multiprocessing.get_context("fork").Pool(processes) as pool:
        yield lambda: pool.map(_decode, shares, chunksize=1)


def _decode(files: list[str]) -> None:
    for file in files:
        with Image.open(io.BytesIO(Path(file).read_bytes())) as image:
            reduced = min(image.size) >= SIDE
            method = Image.Resampling.BOX if reduced else Image.Resampling.BILINEAR
            np.asarray(image.convert("RGB").resize((SIDE, SIDE), method))


def _image_folder(root: Path, images: int) -> list[str]:
    """Write pictures as compressible as photographs, each under many names."""
    random = np.random.default_rng(0)
    written: list[Path] = []
    for part, label, number in _names(images):
        path = root / part / str(label) / f"{number:05d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        if len(written) < DISTINCT:
            coarse = Image.fromarray(random.integers(0, 256, (8, 8, 3), dtype=np.uint8))
            size = tuple(random.integers(32, 65, 2).tolist())
            coarse.resize(size, Image.Resampling.BICUBIC).save(path, quality=90)
            written.append(path)
        else:
            os.link(written[number % DISTINCT], path)
    return [str(path) for path in sorted(root.rglob("*.jpg"))]


def _names(images: int) -> Iterator[tuple[str, int, int]]:
    for number in range(images):
        yield ("test" if number % 6 == 5 else "train"), number % CLASSES, number

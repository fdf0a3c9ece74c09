"""What must hold for every registered data source, on small files in its true format.

The files of the sources of a module are written by ``write(raw, source)`` in the module of the same
name in ``raw_samples``, which returns the settings that the source cannot do without. They have as
many classes as the true ones, where that number is fixed. Built-in sources need no files.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from distillery.core.errors import UserError
from distillery.data import files, registry
from distillery.data.files import RawFiles
from distillery.data.raw import RawData
from distillery.data.settings import Source

ALL = registry.names()
WITH_FILES = [name for name in ALL if not registry.facts(name).built_in]
Open = Callable[[Source], RawData]


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_: object) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr("torchvision.datasets.utils.download_url", unreachable)


@pytest.fixture
def opened(data_root: Path, tmp_path: Path) -> Iterator[Open]:
    """Read what lies in the folder of raw data."""
    with RawFiles.opened(data_root / "raw", tmp_path) as raw:
        yield lambda settings: import_module(registry.module_of(settings.source)).read(
            settings, raw
        )


def written(raw: Path, source: str, **settings: Any) -> Source:
    """Write the files of a source and return settings to read them with."""
    if not registry.facts(source).built_in:
        raw.mkdir(exist_ok=True)
        module = registry.module_of(source).rpartition(".")[2]
        settings = import_module(f"raw_samples.{module}").write(raw, source) | settings
    return Source(source=source, **settings)


def whole(data: RawData) -> tuple[Any, ...]:
    """Return all that was read, for comparison, after reading every image."""
    parts = [
        (
            part.labels.tolist(),
            [part.images[number].tobytes() for number in range(len(part.labels))],
            [part.name(number) for number in range(len(part.labels))],
        )
        for part in (data.train, data.test)
    ]
    return data.name, data.classes, data.channels, parts, data.origin


@pytest.mark.parametrize("source", ALL)
def test_what_is_known_beforehand_is_what_is_read(
    source: str, data_root: Path, opened: Open
) -> None:
    settings = written(data_root / "raw", source)
    data, facts = opened(settings), settings.facts
    assert facts.num_classes in (None, len(data.classes))
    assert len(set(data.classes)) == len(data.classes)
    if facts.shape:
        side, channels = facts.shape
        assert data.channels == channels
        shape = data.train.images[0].shape
        assert shape[2] == channels
        assert side is None or shape[:2] == (side, side)
    if facts.built_in:
        assert facts.smallest_class == np.bincount(data.train.labels).min()
    if data.normalisation:
        assert [len(each) for each in data.normalisation] == [data.channels] * 2


@pytest.mark.parametrize("source", ALL)
def test_both_parts_hold_labelled_bytes(source: str, data_root: Path, opened: Open) -> None:
    data = opened(written(data_root / "raw", source, image_size=8))
    for part in (data.train, data.test):
        assert part.labels.dtype == np.int64
        assert part.labels.ndim == 1
        assert 0 <= part.labels.min() <= part.labels.max() < len(data.classes)
        for number in (0, len(part.labels) - 1):
            image = part.images[number]
            assert image.dtype == np.uint8
            assert image.ndim == 3
            assert image.shape[2] in {1, data.channels}
    assert data.origin
    assert all(re.fullmatch("[0-9a-f]{64}", digest) for digest in data.origin.values())


@pytest.mark.parametrize("source", ALL)
def test_the_order_is_not_that_of_the_file_system(
    source: str, data_root: Path, opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = written(data_root / "raw", source, image_size=8)
    expected, walk = whole(opened(settings)), os.walk

    def backwards(*args: Any, **options: Any) -> Iterator[tuple[str, list[str], list[str]]]:
        for parent, folders, names in walk(*args, **options):
            folders.sort(reverse=True)
            yield parent, folders, sorted(names, reverse=True)

    monkeypatch.setattr(files.os, "walk", backwards)
    assert whole(opened(settings)) == expected


@pytest.mark.parametrize("source", WITH_FILES)
def test_missing_data_are_told_in_one_line(source: str, data_root: Path, opened: Open) -> None:
    settings = written(data_root / "elsewhere", source)
    with pytest.raises(UserError) as caught:
        opened(settings)
    assert "\n" not in str(caught.value)
    assert str(data_root / "raw") in str(caught.value)


@pytest.mark.parametrize("source", WITH_FILES)
def test_damage_is_told_in_one_line(source: str, data_root: Path, opened: Open) -> None:
    settings = written(data_root / "raw", source, image_size=8)
    said = []
    for path in some_files(data_root / "raw"):
        content = path.read_bytes()
        path.write_bytes(b"\xff\0 rubbish")
        said.append(complaint(opened, settings))
        path.unlink()
        said.append(complaint(opened, settings))
        path.write_bytes(content)
    messages = [message for message in said if message]
    assert messages, "nobody noticed"
    for message in messages:
        assert "\n" not in message
        assert str(data_root / "raw") in message


def complaint(opened: Open, settings: Source) -> str | None:
    """Read everything and return what was wrong, if anything; other errors are failures."""
    try:
        whole(opened(settings))
    except UserError as error:
        return str(error)
    return None


def some_files(raw: Path) -> list[Path]:
    """Return all files of a small set, or one of each kind and folder of a large one."""
    found = sorted(path for path in raw.rglob("*") if path.is_file())
    if len(found) <= 12:
        return found
    kinds = {(path.relative_to(raw).parts[:2], path.suffix): path for path in found}
    return list(kinds.values())

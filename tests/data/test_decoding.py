"""Images are decoded on several cores to the same bits, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from data_samples import image_folder, pack

from distillery.core.errors import UserError
from distillery.data import decoding, files, prepare
from distillery.data.decoding import Images, decoded_groups
from distillery.runs.artifact import Artifact

Prepare = Callable[..., Artifact]


def numbered(number: int) -> np.ndarray:
    return np.full((3, 2, 1), number % 251, dtype=np.uint8)


@pytest.mark.parametrize("processes", [1, 2, 3])
@pytest.mark.parametrize(("count", "rows"), [(0, 4), (3, 4), (4, 4), (23, 5), (400, 300)])
def test_groups_are_the_same_whatever_the_number_of_processes(
    processes: int, count: int, rows: int
) -> None:
    found = []
    images = Images(numbered, count, (3, 2, 1))
    for start, group, learned in decoded_groups(images, rows, len, processes):
        assert sum(learned) == len(group)
        assert start == len(found)
        found += group[:, 0, 0, 0].tolist()
    assert found == [number % 251 for number in range(count)]


@pytest.fixture
def on_cores(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Let small sets be decoded on several cores, in many shares."""

    def choose(cores: int) -> None:
        monkeypatch.setattr(prepare, "_IMAGES_A_PROCESS", 1)
        monkeypatch.setattr(prepare, "_GROUP_ROWS", 8)
        monkeypatch.setattr(decoding, "_SHARE", 3)
        monkeypatch.setattr(files, "_SHARE", 5)
        for module in (prepare, files):
            monkeypatch.setattr(module, "available_cores", lambda: cores)

    return choose


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("side", [None, 4, 9])
def test_prepare_gives_the_same_bits_on_any_number_of_cores(
    prepared: Prepare,
    on_cores: Callable[[int], None],
    tmp_path: Path,
    packed: bool,
    side: int | None,
) -> None:
    path = image_folder(tmp_path / "pets", train=11, test=3, suffix=".jpg")
    if packed:
        path = pack(path, tmp_path / "pets.zip")
    manifests = []
    for cores in (1, 3):
        on_cores(cores)
        root = tmp_path / str(cores)
        made = prepared(root=root, source="image-folder", path=str(path), image_size=side)
        manifests.append(made.manifest["files"])
    assert manifests[0] == manifests[1]


def test_all_bad_images_are_named_on_any_number_of_cores(
    prepared: Prepare, on_cores: Callable[[int], None], tmp_path: Path, data_root: Path
) -> None:
    folder = image_folder(data_root / "raw" / "pets", train=11)
    for name in ("bird/0005.png", "cat/0001.png"):
        (folder / "train" / name).write_bytes(b"rubbish")
    for cores in (1, 2):
        on_cores(cores)
        with pytest.raises(
            UserError,
            match=r"bird/0005\.png: not an image of a known format; "
            r"the same of 1 more: \S+/cat/0001\.png$",
        ):
            prepared(source="image-folder", path="pets")

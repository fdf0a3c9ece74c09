"""Follows docs/adding-a-data-source.md to the letter, in a copy of the package."""

from __future__ import annotations

import json
import re

import numpy as np
import pyarrow.parquet as pq
import pytest
from documented import Package, Page
from project import Project

PAGE = Page("adding-a-data-source.md")


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Package:
    return Package(tmp_path_factory.mktemp("package"), PAGE, "data")


def test_it_is_prepared_and_trained_on(package: Package, project: Project) -> None:
    images = np.random.default_rng(0).integers(0, 256, (40, 8, 8, 3), dtype=np.uint8)
    labels = np.arange(40) % 4
    raw = project.data / "raw"
    raw.mkdir(parents=True)
    parts = {f"{part}_images": images for part in ("train", "test")}
    np.savez(raw / "arrays.npz", **parts, train_labels=labels, test_labels=labels[::-1])
    package.compute(project.params(PAGE.params()), project.data)
    (described,) = (project.data / "prepared").glob("arrays-*/info.json")
    prepared, info = described.parent, json.loads(described.read_text())
    assert (info["classes"], info["shape"]) == (["0", "1", "2", "3"], [8, 8, 3])
    table = pq.read_table(prepared / "train.parquet")
    assert table["label"].to_pylist() == labels.tolist()
    assert table["image"].to_pylist() == [image.tobytes() for image in images]
    assert list((project.data / "students").iterdir())


def test_the_tests_of_all_sources_find_it(package: Package) -> None:
    said = package.test("tests/data/test_every_source.py", "-k", "arrays")
    assert re.search("5 passed", said), said
    assert not re.search("failed|skipped|error", said)

"""ImageNet's networks on a generated folder, and how cost grows with the number of images."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from project import Project
from ruamel.yaml import YAML

from benchmarks import sizes
from distillery.planning import loading
from distillery.runs.artifact import Artifact

pytestmark = pytest.mark.slow

HEAVY = os.environ.get("DISTILLERY_SCALE") == "full"
ROOT = Path(__file__).parents[2]


def test_the_params_file_of_imagenet_runs_from_end_to_end(project: Project) -> None:
    """With its networks, methods, augmentation and precision; images are few and small."""
    params = YAML(typ="safe").load((ROOT / "params" / "fsecd-imagenet.yaml").read_text())
    pictures = sizes.distinct(project.folder / "pictures", images=48)
    sizes.image_folder(pictures, project.raw / "generated", images=48, classes=4)
    params["data"].update(source="image-folder", path="generated", image_size=64)
    # A rate at which two steps do no harm.
    params["training"].update(epochs=1, batch_size=20, milestones=[], lr=0.001)
    params["embeddings"]["slots"] = 1
    file = project.folder / "fsecd-imagenet.yaml"
    with file.open("w") as stream:
        YAML(typ="safe").dump(params, stream)
    planned = loading.load(file, project.data)
    project.make_all(planned)
    students = planned.stage("train-student")
    assert len(students) == len(params["pairs"]) * len(params["methods"])
    for run in students:
        metrics = Artifact(project.data / run.location).json("metrics.json")
        assert 0 <= metrics["test_top1"] <= 100
    assert (project.data / planned.collected).exists()


@pytest.mark.skipif(not HEAVY, reason="takes a minute: DISTILLERY_SCALE=full")
def test_time_is_linear_in_the_images_and_memory_is_flat(tmp_path: Path) -> None:
    """Memory has room for what is kept of an image: a few numbers, and a teacher's outputs."""
    few, many = 2_000, 8_000
    found: dict[str, list[sizes.Cost]] = {}
    for images in (few, many):
        folder = tmp_path / str(images)
        folder.mkdir()
        for part, cost in sizes.of_rows(folder, images).items():
            found.setdefault(part, []).append(cost)
    image = 32 * 32 * 3
    for part, (first, last) in found.items():
        # A start of its own makes the smaller one dearer an image, never the larger one.
        assert last.seconds / many < 1.3 * first.seconds / few, part
        grown = (last.megabytes - first.megabytes) * 1e6 / (many - few)
        assert grown < image, f"{part}: {grown:.0f} bytes more an image"


def test_time_of_prepare_is_linear_in_the_files_and_memory_is_flat(tmp_path: Path) -> None:
    pictures = sizes.distinct(tmp_path / "pictures", images=50)
    few, many = (sizes.of_files(pictures, tmp_path / str(n), n) for n in (300, 1_200))
    assert many.seconds / 1_200 < 1.3 * few.seconds / 300
    assert (many.megabytes - few.megabytes) * 1e6 / 900 < np.prod((64, 64, 3))

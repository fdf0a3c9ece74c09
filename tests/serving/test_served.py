"""Networks in use: preprocessing, exported files, and their answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from called import Distillery
from PIL import Image
from project import Project

from distillery.core.errors import UserError
from distillery.data.prepared import load
from distillery.models import predictions
from distillery.runs.artifact import Artifact
from distillery.serving.exporting import export_run
from distillery.serving.preprocessing import Preprocessing
from distillery.serving.served import Served, of_file, of_run

CLASSES = ("blue", "green", "red")
SIZES = ((9, 14), (16, 16), (20, 8))


def draw(folder: Path) -> None:
    """Write a small set of mixed images: noise with one colour stronger than the others."""
    random = np.random.default_rng(0)
    for part, count in (("train", 12), ("test", 4)):
        for label, name in enumerate(CLASSES):
            where = folder / part / name
            where.mkdir(parents=True)
            for number in range(count):
                height, width = SIZES[number % len(SIZES)]
                pixels = random.integers(0, 120, (height, width, 3))
                pixels[..., 2 - label] += 100
                Image.fromarray(pixels.astype(np.uint8)).save(where / f"{number:02}.png")


class Trained:
    """A finished student of the set."""

    def __init__(self, project: Project, **changes: Any) -> None:
        self.project = project
        self.folder = project.data / "raw" / "colours"
        draw(self.folder)
        data = {"source": "image-folder", "path": "colours", "image_size": 8, "channels": 3}
        self.planned = planned = project.plan(
            {"!data": {**data, "augmentation": {"pad": 1}}, **changes}
        )
        (run,) = planned.stage("train-student")
        self.artifact = project.make(planned, run)
        self.prepared = Artifact(project.data / run.inputs["prepared"])
        self.images = sorted((self.folder / "test").rglob("*.png"))

    @property
    def served(self) -> Served:
        return of_run(self.artifact, self.prepared)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return Trained(Project(tmp_path_factory.mktemp("colours")))


@pytest.fixture(scope="module")
def files(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return export_run(trained.artifact, trained.prepared, tmp_path_factory.mktemp("exported"))


def test_a_file_becomes_what_prepare_made_of_it(trained: Trained) -> None:
    stored = load(trained.prepared, "test").images
    assert len(trained.images) == len(stored)
    preprocessing = trained.served.preprocessing
    pixels = preprocessing.applied(trained.images).permute(0, 2, 3, 1).numpy()
    restored = (pixels * preprocessing.std + preprocessing.mean) * 255
    assert np.abs(restored - np.asarray(stored)).max() < 1e-3


def test_its_answers_are_those_that_the_run_keeps(trained: Trained) -> None:
    found = trained.served(trained.images)
    kept = predictions.read(trained.artifact).logits
    powers = np.exp(kept - kept.max(axis=1, keepdims=True))
    assert np.abs(found - powers / powers.sum(axis=1, keepdims=True)).max() < 1e-5


def test_images_in_memory_are_as_good_as_files(trained: Trained) -> None:
    opened = [Image.open(path) for path in trained.images[:3]]
    expected = trained.served.preprocessing.applied(trained.images[:3])
    for images in (
        opened,
        [np.asarray(image) for image in opened],
        [*map(str, trained.images[:3])],
    ):
        assert trained.served.preprocessing.applied(images).equal(expected)
    grey = np.full((30, 20), 7, dtype=np.uint8)
    assert trained.served.preprocessing.applied([grey]).shape == (1, 3, 8, 8)


def test_a_network_of_some_channels_is_shown_these_alone(tmp_path: Path) -> None:
    few = Trained(
        Project(tmp_path),
        pairs={"p": {"channels": [2, 0]}},
        training={"epochs": 1},
    )
    preprocessing = few.served.preprocessing
    assert preprocessing.channel_order == ("blue", "red")
    assert preprocessing.applied(few.images[:2]).shape == (2, 2, 8, 8)
    kept = predictions.read(few.artifact).logits.argmax(axis=1)
    assert few.served(few.images).argmax(axis=1).tolist() == kept.tolist()


def test_the_metadata_say_all(trained: Trained, files: list[Path]) -> None:
    expected = trained.served.preprocessing
    assert expected.size == (8, 8)
    assert expected.classes == CLASSES
    assert expected.channel_order == ("red", "green", "blue")
    assert "Pillow's BOX" in expected.resize
    assert [path.name for path in files] == [
        "colours-p-ce-s0.onnx",
        "colours-p-ce-s0-int8.onnx",
        "colours-p-ce-s0.pt2",
    ]
    for path in files:
        assert of_file(path).preprocessing == expected, path.name


def test_exported_files_give_the_same_answers(trained: Trained, files: list[Path]) -> None:
    expected = trained.served(trained.images)
    full, small, program = (of_file(path)(trained.images) for path in files)
    assert np.abs(full - expected).max() < 1e-5
    assert np.abs(program - expected).max() < 1e-5
    assert 0 < np.abs(small - expected).max() < 0.1


def test_predict_prints_the_same_of_a_run_and_of_its_file(
    trained: Trained, files: list[Path], distillery: Distillery
) -> None:
    def predict(network: Any, *options: str) -> str:
        data = trained.project.data
        found = distillery("predict", network, *trained.images, "--data", data, *options)
        assert not found.status
        return found.out

    found = [json.loads(predict(each, "--json", "-k", "2")) for each in ("ce-s0", *files[::2])]
    for other in found[1:]:
        for ours, theirs in zip(found[0]["images"], other["images"], strict=True):
            assert ours["image"] == theirs["image"]
            for one, same in zip(ours["top"], theirs["top"], strict=True):
                assert one["class"] == same["class"]
                assert one["probability"] == pytest.approx(same["probability"], abs=2e-6)
    assert [len(each["top"]) for each in found[0]["images"]] == [2] * len(trained.images)
    lines = predict(files[0]).splitlines()
    assert len(lines) == 2 + len(trained.images)
    assert lines[-1].split()[0] == str(trained.images[-1])
    assert lines[-1].count(" %") == 3


def test_only_what_is_asked_for_is_written(trained: Trained, tmp_path: Path) -> None:
    (path,) = export_run(trained.artifact, trained.prepared, tmp_path, ["int8"])
    assert [*tmp_path.iterdir()] == [path]
    assert path.name == "colours-p-ce-s0-int8.onnx"


def test_an_earlier_export_stays(trained: Trained, tmp_path: Path) -> None:
    (full,) = export_run(trained.artifact, trained.prepared, tmp_path, ["onnx"])
    before = full.read_bytes()
    (small,) = export_run(trained.artifact, trained.prepared, tmp_path, ["int8"])
    assert {*tmp_path.iterdir()} == {full, small}
    assert full.read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["predict", "ce-s0", "none.png"], "none.png: no such file"),
        (["predict", "none.onnx", "x.png"], "none.onnx: no such file"),
        (["predict", "{page}", "x.png"], "{page}: not an exported network of ours ("),
        (["predict", "ce-s0", "{page}"], "{page}: not an image of a known format"),
        (["predict", "colours-train-split", "x.png"], "unknown run 'colours-train-split'"),
        (["predict", "classification", "x"], "{evaluate}: a run of the stage 'evaluate' holds no"),
        (["export", "ce-s0", "-f", "onxx"], "unknown format 'onxx'; did you mean 'onnx'?"),
    ],
)
def test_a_mistake_costs_one_line(
    trained: Trained,
    tmp_path: Path,
    distillery: Distillery,
    arguments: list[str],
    message: str,
) -> None:
    page = tmp_path / "page.onnx"
    page.write_text("no network")
    project = trained.project
    planned = trained.planned
    evaluate = planned.stage("evaluate")[-1]
    if "classification" in arguments:
        evaluate = next(
            run for run in planned.stage("evaluate") if run.inputs["network"].startswith("students")
        )
        project.make(planned, evaluate)
    names = {"page": str(page), "evaluate": evaluate.name}
    typed = [each.format(**names) for each in arguments]
    found = distillery(*typed, "--data", project.data)
    assert found.status == 2
    assert found.error.startswith(f"distillery: {message.format(**names)}")
    assert found.error.count("\n") == 1


def test_metadata_of_something_else_are_refused() -> None:
    with pytest.raises(ValueError, match="size"):
        Preprocessing.from_metadata({"author": "someone"})


def test_a_run_without_a_network_has_none(trained: Trained) -> None:
    with pytest.raises(UserError, match="of the stage 'prepare' holds no network"):
        of_run(trained.prepared, trained.prepared)

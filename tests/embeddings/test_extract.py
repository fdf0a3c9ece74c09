"""What a network is shown of another data set, and what is kept of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
import torch.nn.functional as F
from made_up_data import made_up_info
from project import Project

from distillery.core.errors import UserError
from distillery.data.info import INFO, DataSetInfo
from distillery.data.prepared import load
from distillery.embeddings import extract
from distillery.embeddings.extract import read, resized, seen_info
from distillery.models import inference, predictions
from distillery.models.weights import load_network
from distillery.runs.artifact import Artifact
from distillery.runs.produce import produce
from distillery.runs.run import Run

CODE = "c"


def made(
    data: Path, stage: str, settings: dict[str, Any], inputs: dict[str, str], compute: Any
) -> Artifact:
    run = Run(stage, "made", stage, settings, inputs, CODE)
    return Artifact(produce(data, run, compute))


def prepared(data: Path, shape: tuple[int, int, int], name: str, **settings: Any) -> Artifact:
    """Publish an info without images."""
    channels = range(shape[2])
    info = made_up_info(
        name=name,
        classes=("a", "b"),
        shape=shape,
        mean=tuple(0.3 + channel / 10 for channel in channels),
        std=tuple(0.1 + channel / 10 for channel in channels),
    )
    whole = {"source": "image-folder", "contents": name, "image_size": shape[0], **settings}
    return made(data, "prepare", whole, {}, lambda work: work.write_json(INFO, info.model_dump()))


def network(data: Path, channels: list[int] | None = None) -> Artifact:
    settings = {"arch": "resnet8", **({"channels": channels} if channels else {})}
    return made(data, "train", settings, {}, lambda work: work.write_json("metrics.json", {}))


@pytest.mark.parametrize(("shape", "side"), [((9, 9), 6), ((8, 12), 8), ((5, 4), 11)])
def test_images_are_resized_as_torch_does_with_antialiasing(
    shape: tuple[int, int], side: int
) -> None:
    images = torch.randint(0, 256, (3, *shape, 3), generator=torch.Generator().manual_seed(0))
    found = resized(images.byte(), (side, side))
    expected = F.interpolate(
        images.permute(0, 3, 1, 2).float(), (side, side), mode="bilinear", antialias=True
    )
    assert found.dtype == torch.uint8
    assert (found.float() - expected.permute(0, 2, 3, 1)).abs().max() <= 1.05


def test_images_of_the_right_size_stay_as_they_are() -> None:
    images = torch.randint(0, 256, (2, 6, 7, 1)).byte()
    assert resized(images, (6, 7)) is images


def test_the_info_has_the_size_of_the_source_and_the_chosen_normalisation(tmp_path: Path) -> None:
    source = prepared(tmp_path, (8, 8, 3), "small")
    target = prepared(tmp_path, (20, 30, 3), "large")
    trained = network(tmp_path, [2, 1])
    own = seen_info(trained, source, target, "network")
    assert own.shape == (8, 8, 2)
    assert own.name == "large"
    assert own.mean == pytest.approx((0.5, 0.4))
    assert own.std == pytest.approx((0.3, 0.2))
    half = seen_info(network(tmp_path), source, target, "half")
    assert (half.shape, half.mean, half.std) == ((8, 8, 3), (0.5,) * 3, (0.5,) * 3)


@pytest.mark.parametrize(
    ("of_source", "of_target", "problem"),
    [
        (((8, 8, 1), {}), ((8, 8, 3), {}), "'b'.*3 channels.*1 channel; both need as many"),
        (((8, 8, 3), {}), ((8, 8, 1), {}), "'b'.*1 channel, .*3 channels; both need as many"),
        (((8, 8, 3), {"colour": "lab"}), ((8, 8, 3), {"colour": "rgb"}), "'b'.*`colour` is rgb"),
        (((8, 9, 3), {}), ((20, 20, 3), {}), "'a': only squares.*8 x 9.*`image_size`"),
    ],
)
def test_what_a_network_cannot_see_is_refused_in_one_line(
    tmp_path: Path, of_source: Any, of_target: Any, problem: str
) -> None:
    source = prepared(tmp_path, of_source[0], "a", **of_source[1])
    target = prepared(tmp_path, of_target[0], "b", **of_target[1])
    with pytest.raises(UserError, match=problem) as refused:
        seen_info(network(tmp_path), source, target, "target")
    assert "\n" not in str(refused.value)


def extracted(project: Project, data: dict[str, Any] | None, **options: Any) -> dict[str, Any]:
    """Compute the features of the teacher by a plan; return everything that they come from."""
    planned = project.plan(
        {
            "training": {"epochs": 1},
            "datasets": {"other": data} if data else {},
            "protocols": {
                "transfer": {"options": {**({"data": "other"} if data else {}), **options}}
            },
        },
        name="transfer",
    )
    run = next(run for run in planned.runs.values() if run.stage == "extract")
    artifacts = {name: project.make(planned, planned.runs[run.inputs[name]]) for name in run.inputs}
    return {"features": project.make(planned, run), **artifacts}


def test_on_its_own_data_set_a_network_says_what_it_said_of_the_test_images(
    shared_project: Project,
) -> None:
    found = extracted(shared_project, None)
    test = read(found["features"], "test")
    known = predictions.read(found["network"])
    assert np.array_equal(test.labels, known.labels)
    assert test.embedding.dtype == np.float32
    assert test.embedding == pytest.approx(known.embedding, abs=1e-5)
    train = read(found["features"], "train")
    assert np.array_equal(train.labels, load(found["prepared"], "train").labels.numpy())
    assert train.embedding.shape == (len(train.labels), known.embedding.shape[1])


def test_a_network_of_some_channels_sees_them_alone(project: Project) -> None:
    """Luminance and chrominance: on its own data set it says what it said of the test images."""
    planned = project.plan(
        {
            "!data": {
                "source": "shapes",
                "channels": 3,
                "colour": "lab",
                "split": {"per_class": 8},
            },
            "training": {"epochs": 1},
            "teachers": {"t": {"arch": "resnet8", "channels": [2, 0]}},
            "pairs": {"p": {"teacher": "t", "student": "resnet8", "channels": [1]}},
        }
    )
    for row in planned.rows:
        trained = project.make(planned, planned.runs[row.run])
        location = trained.manifest["inputs"]["prepared"]
        inputs = {"network": row.run, "source": location, "prepared": location}
        settings = {"normalisation": "target"}
        run = Run("extract", "evaluations", "features", settings, inputs, CODE)
        test = read(Artifact(produce(project.data, run, extract.run)), "test")
        assert test.embedding == pytest.approx(predictions.read(trained).embedding, abs=1e-5)
    assert len(planned.rows) == 2


def test_other_images_are_resized_and_normalised(shared_project: Project) -> None:
    found = extracted(shared_project, {"source": "digits", "image_size": 12}, normalisation="half")
    pixels = load(found["prepared"], "test").images[:40]
    assert pixels.shape == (40, 12, 12, 1)
    small = resized(pixels, (8, 8)).permute(0, 3, 1, 2).float()
    info = DataSetInfo.load(found["source"])
    with torch.no_grad():
        expected = load_network(found["network"], info)((small / 255 - 0.5) / 0.5).embedding
    test = read(found["features"], "test")
    assert test.embedding[:40] == pytest.approx(expected.numpy(), abs=1e-5)


def test_the_files_say_what_they_hold_and_are_the_same_each_time(
    shared_project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = extracted(shared_project, None)
    path = found["features"].file("train.parquet")
    schema = pq.read_schema(path)
    assert [str(field.type) for field in schema] == ["int64", "fixed_size_list<element: float>[64]"]
    # Neither the place of an image in a batch nor the number of batches matters.
    monkeypatch.setattr(inference, "batch_size", lambda images, side: 100)
    info = seen_info(found["network"], found["source"], found["prepared"], "target")
    model = load_network(found["network"], DataSetInfo.load(found["source"]))
    extract._write(tmp_path / "again.parquet", model, load(found["prepared"], "train"), info)
    again = pq.read_table(tmp_path / "again.parquet")
    whole = pq.read_table(path)
    assert again["label"] == whole["label"]
    one, other = (np.stack(table["embedding"].to_numpy()) for table in (again, whole))
    assert one == pytest.approx(other, abs=1e-5)

"""Exported files against the networks that they come from, and what the protocol says of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pandas as pd
import pytest
import torch
from onnxruntime import InferenceSession
from project import Project
from pydantic import ValidationError

from distillery.core.errors import DistilleryError, UserError
from distillery.data.augmentation import normalise
from distillery.data.info import DataSetInfo
from distillery.data.prepared import load
from distillery.evaluation import deployment
from distillery.evaluation.deployment import Deployment
from distillery.models import predictions
from distillery.models.base import Classifier
from distillery.runs.artifact import Artifact
from distillery.serving.onnx import open_session
from distillery.serving.preprocessing import Preprocessing

Options = Deployment.Options


def answers(session: InferenceSession, images: np.ndarray) -> np.ndarray:
    (logits,) = session.run(["logits"], {"images": images})
    return logits


@pytest.mark.parametrize(
    "options",
    [
        {"opset": 5},
        {"quantisation": "int4"},
        {"calibration_images": 0},
        {"test_images": 0},
        {"repeats": 1},
        {"unknown": 1},
    ],
)
def test_options_out_of_range_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Options(**options)


OPTIONS = {"warmup": 1, "repeats": 4, "calibration_images": 40}


def deployed(project: Project, role: str = "ce", **options: Any) -> Artifact:
    """Run the protocol on a network that was trained a little."""
    given = {**OPTIONS, **options}
    if given.get("quantisation") == "dynamic":
        # It finds ranges without calibration.
        del given["calibration_images"]
    entry = {"options": given}
    planned = project.plan({"protocols": {"deployment": entry}}, "deployment")
    row = next(row for row in planned.rows if row.method == role)
    return project.make(planned, planned.runs[row.evaluations["deployment"]])


def test_a_run_keeps_both_files_and_measures_them(shared_project: Project) -> None:
    artifact = deployed(shared_project)
    assert artifact.files == [
        "details.parquet",
        "metrics.json",
        "student-int8.onnx",
        "student.onnx",
    ]
    found = artifact.json("metrics.json")
    inputs = {
        name: Artifact(shared_project.data / place)
        for name, place in artifact.manifest["inputs"].items()
    }
    info, test = DataSetInfo.load(inputs["prepared"]), load(inputs["prepared"], "test")
    pixels = normalise(test.images, info.mean, info.std).contiguous().numpy()
    told = {
        kind: answers(open_session(artifact.file(name), 1), pixels).argmax(axis=1)
        for kind, name in (("float", "student.onnx"), ("int8", "student-int8.onnx"))
    }
    for kind, size in (("float", "student.onnx"), ("int8", "student-int8.onnx")):
        assert found[f"{kind}_mb"] == artifact.file(size).stat().st_size / 2**20
        accuracy = 100 * (told[kind] == test.labels.numpy()).mean()
        assert found[f"{kind}_top1"] == pytest.approx(accuracy)
        assert 0 < found[f"{kind}_ms_q1"] <= found[f"{kind}_ms"] <= found[f"{kind}_ms_q3"]
    assert found["agreement"] == pytest.approx(100 * (told["float"] == told["int8"]).mean())
    network = predictions.read(inputs["network"])
    assert found["float_top1"] == pytest.approx(
        100 * (network.logits.argmax(axis=1) == network.labels).mean()
    )
    assert 0 <= found["largest_difference"] < 1e-4
    assert (found["opset"], found["test_images"]) == (20, len(test))
    details = pd.read_parquet(artifact.file("details.parquet"))
    medians = details.groupby("measure")["milliseconds"].median()
    assert medians.to_dict() == pytest.approx({k: found[f"{k}_ms"] for k in ("float", "int8")})
    told = onnx.load(artifact.file("student.onnx")).metadata_props
    metadata = {entry.key: entry.value for entry in told}
    assert metadata.pop("run") == inputs["network"].key
    expected = Preprocessing.of(inputs["network"], inputs["prepared"])
    assert Preprocessing.from_metadata(metadata) == expected
    assert metadata == expected.metadata()


def test_a_teacher_is_exported_under_its_own_name(shared_project: Project) -> None:
    files = deployed(shared_project, role="").files
    assert {"teacher.onnx", "teacher-int8.onnx"} < {*files}


def test_accuracy_can_be_bounded_and_ranges_found_anew(shared_project: Project) -> None:
    found = deployed(shared_project, test_images=30, quantisation="dynamic").json("metrics.json")
    assert found["test_images"] == 30
    assert found["int8_mb"] < found["float_mb"]
    assert (found["float_top1"] * 30 / 100) == pytest.approx(round(found["float_top1"] * 0.3))


@pytest.mark.parametrize("option", ["calibration_images", "test_images"])
def test_more_images_than_there_are_is_refused(shared_project: Project, option: str) -> None:
    wanted = rf"deployment.*options\.{option}: found 100000; .*\(allowed: 1 to \d+\)$"
    with pytest.raises(UserError, match=wanted):
        deployed(shared_project, **{option: 100_000})


def test_an_export_that_differs_from_the_network_is_refused(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = deployment.export

    def falsified(network: Classifier, *arguments: Any) -> None:
        with torch.no_grad():
            network.head.bias += 0.5
            honest(network, *arguments)
            network.head.bias -= 0.5

    monkeypatch.setattr(deployment, "export", falsified)
    with pytest.raises(DistilleryError, match=r"off by 0\.5 \(allowed: 0\.000\d+\);"):
        deployed(project)

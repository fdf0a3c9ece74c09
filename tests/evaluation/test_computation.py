"""Counts against golden values and formulas by hand; parts of a step against each other."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from project import Project

from distillery.core.errors import UserError
from distillery.data.info import DataSetInfo
from distillery.evaluation.student_steps import rebuild
from distillery.models.cost import forward_flops
from distillery.models.spec import describe
from distillery.planning.plan import Plan
from distillery.runs.artifact import Artifact
from distillery.training.student import Settings

GOLDEN = json.loads((Path(__file__).parents[1] / "golden/models.json").read_text())["models"]
METHODS = {
    "ce": {},
    "kd": {},
    "crd": {"options": {"negatives": 32, "dim": 16}},
    # Runs the teacher live; two methods with a stage of their own.
    "fitnet": {},
    "fsp": {"options": {"pretraining_epochs": 1}},
    "sskd": {},
}
BATCH, IMAGES, CLASSES, EMBEDDING, DIM = 32, 80, 10, 64, 16
TIMES = ("step", "student", "teacher", "loss", "image", "batch")


@pytest.fixture(scope="module")
def cheap(shared_project: Project) -> Plan:
    """A plan in which every network is measured, briefly."""
    options = {"warmup": 1, "repeats": 5}
    changes = {
        "methods": METHODS,
        "training": {"epochs": 1},
        "protocols": {"computation": {"options": options}},
    }
    return shared_project.plan(changes, "computation")


def measured(project: Project, planned: Plan, method: str) -> Artifact:
    row = next(row for row in planned.rows if row.method == method)
    return project.make(planned, planned.runs[row.evaluations["computation"]])


def figures(project: Project, planned: Plan, method: str) -> dict[str, float]:
    found: dict[str, float] = measured(project, planned, method).json("metrics.json")
    return found


@pytest.mark.parametrize("name", GOLDEN)
def test_flops_and_parameters_are_the_golden_ones(name: str) -> None:
    golden = GOLDEN[name]
    spec = describe(name, golden["num_classes"], 3, 32)
    assert forward_flops(spec) == golden["flops_forward_1x3x32x32"] == 2 * golden["macs"]
    assert spec.parameters == golden["params"]


def test_flops_grow_with_the_image_and_not_with_the_classes_of_a_convolution() -> None:
    small, large = (describe("resnet8", 10, 3, side) for side in (16, 32))
    head = 2 * small.embedding_dim * 10
    assert forward_flops(large) - head == 4 * (forward_flops(small) - head)
    wider = replace(small, num_classes=20)
    assert forward_flops(wider) - forward_flops(small) == head


def test_a_teacher_has_the_figures_of_its_network_alone(
    shared_project: Project, cheap: Plan
) -> None:
    found = figures(shared_project, cheap, "")
    spec = describe("resnet8", CLASSES, 1, 8)
    assert found["parameters"] == spec.parameters
    assert found["flops"] == forward_flops(spec)
    assert found["batch_size"] == BATCH
    assert found["image_ms"] > 0
    times = {f"{name}_ms{end}" for name in ("image", "batch") for end in ("", "_q1", "_q3")}
    assert found.keys() == {"parameters", "flops", "batch_size"} | times


def test_cross_entropy_adds_nothing(shared_project: Project, cheap: Plan) -> None:
    found = figures(shared_project, cheap, "ce")
    nothing = ("loss_flops", "method_parameters", "method_state_mb", "teacher_flops")
    assert [found[name] for name in (*nothing, "teacher_parameters")] == [0] * 5
    assert found["step_memory_mb"] == pytest.approx(found["student_memory_mb"], rel=0.01)
    # Backward: about two forward passes, less the gradient of the images.
    assert 2 < found["step_flops"] / (BATCH * found["flops"]) < 3


def test_crd_costs_what_the_products_of_its_loss_do(shared_project: Project, cheap: Plan) -> None:
    found = figures(shared_project, cheap, "crd")
    head = 2 * BATCH * EMBEDDING * DIM
    scores = 2 * BATCH * IMAGES * DIM
    # The student's head needs three products, the teacher's two, the scores two for each direction.
    assert found["loss_flops"] == 5 * head + 4 * scores
    assert found["method_parameters"] == 2 * (EMBEDDING * DIM + DIM)
    banks = 2 * IMAGES * DIM + 2
    assert found["method_state_mb"] == pytest.approx(4 * banks / 2**20)
    assert found["teacher_parameters"] == found["parameters"]
    assert found["step_memory_mb"] > found["student_memory_mb"] + found["method_state_mb"]


def test_a_cached_teacher_is_not_run_and_a_live_one_is(
    shared_project: Project, cheap: Plan
) -> None:
    cached = figures(shared_project, cheap, "kd")
    live = figures(shared_project, cheap, "fitnet")
    ce = figures(shared_project, cheap, "ce")
    assert cached["step_flops"] == ce["step_flops"]
    assert cached["loss_flops"] == 0
    teaching = live["step_flops"] - live["loss_flops"] - ce["step_flops"]
    assert teaching == BATCH * live["teacher_flops"]


def test_further_copies_of_the_images_are_the_methods_cost(
    shared_project: Project, cheap: Plan
) -> None:
    found, ce = (figures(shared_project, cheap, method) for method in ("sskd", "ce"))
    assert found["loss_flops"] > 3 * ce["step_flops"]


@pytest.mark.parametrize("method", METHODS)
def test_the_details_are_the_timings_behind_the_metrics(
    shared_project: Project, cheap: Plan, method: str
) -> None:
    artifact = measured(shared_project, cheap, method)
    found = artifact.json("metrics.json")
    details = pd.read_parquet(artifact.file("details.parquet"))
    assert set(details["measure"]) == set(TIMES)
    assert set(details["device"]) == {artifact.manifest["record"]["device"]}
    times = details.pivot_table(index="repeat", columns="measure", values="milliseconds")
    assert len(times) == 5
    rest = times["step"] - times["student"] - times["teacher"]
    np.testing.assert_allclose(times["loss"], rest, rtol=0, atol=1e-12)
    for name in TIMES:
        assert found[f"{name}_ms"] == pytest.approx(times[name].median())
        assert found[f"{name}_ms_q1"] <= found[f"{name}_ms"] <= found[f"{name}_ms_q3"]
    assert np.isfinite(list(found.values())).all()


def test_measuring_does_not_change_the_network(shared_project: Project, cheap: Plan) -> None:
    """Steps at a learning rate of zero: the last loss is the first one."""
    (row,) = (row for row in cheap.rows if row.method == "crd")
    trained = shared_project.make(cheap, cheap.runs[row.run])
    evaluation = cheap.runs[row.evaluations["computation"]]
    inputs = {
        name: Artifact(shared_project.data / place) for name, place in evaluation.inputs.items()
    }
    settings = Settings.model_validate(trained.settings)
    steps = rebuild(inputs, settings, DataSetInfo.load(inputs["prepared"]), torch.device("cpu"))
    before = [each.detach().clone() for each in steps.full.distiller.parameters()]
    for _ in range(3):
        steps.full()
    for old, new in zip(before, steps.full.distiller.parameters(), strict=True):
        torch.testing.assert_close(new, old, rtol=0, atol=0)


def with_protocol(project: Project, changes: dict[str, Any], **options: Any) -> Plan:
    entry = {"options": {"warmup": 1, "repeats": 2, **options}}
    base = {"training": {"epochs": 1}, "protocols": {"computation": entry}}
    return project.plan({**base, **changes}, "changed")


def test_the_batch_size_can_be_set(shared_project: Project) -> None:
    planned = with_protocol(shared_project, {"methods": {"crd": METHODS["crd"]}}, batch_size=8)
    found = figures(shared_project, planned, "crd")
    assert found["batch_size"] == 8
    assert found["loss_flops"] == 8 * 2 * (5 * EMBEDDING + 4 * IMAGES) * DIM


def test_a_batch_has_no_more_images_than_there_are(shared_project: Project) -> None:
    planned = with_protocol(shared_project, {}, batch_size=1000)
    assert figures(shared_project, planned, "ce")["batch_size"] == IMAGES


def test_a_batch_size_that_the_sampler_cannot_make_is_refused(project: Project) -> None:
    training = {"epochs": 1, "instances": 4}
    wanted = r"protocols.computation: options.batch_size: found 10; .*instances, 4$"
    with pytest.raises(UserError, match=wanted):
        with_protocol(project, {"training": training}, batch_size=10)


def test_the_step_sees_images_of_the_size_that_training_does(shared_project: Project) -> None:
    boxes = {"kind": "random-resized-crop", "size": 16}
    augmentation = {"data": {"source": "digits", "split": {"per_class": 8}, "augmentation": boxes}}
    changed = {f"!{name}": value for name, value in augmentation.items()}
    large = figures(shared_project, with_protocol(shared_project, changed), "ce")
    small = figures(shared_project, with_protocol(shared_project, {}), "ce")
    # Whole images are classified as they are.
    assert large["flops"] == small["flops"]
    assert large["step_flops"] > 3.5 * small["step_flops"]


def test_several_teachers_count_together(shared_project: Project) -> None:
    changes = {
        "teachers": {"t": {"arch": "resnet8"}, "u": {"arch": "resnet8", "seed": 1}},
        "!pairs": {"p": {"teacher": ["t", "u"], "student": "resnet8"}},
        "!methods": {"crd": METHODS["crd"], "fitnet": {}},
    }
    planned = with_protocol(shared_project, changes)
    crd, fitnet = (figures(shared_project, planned, method) for method in ("crd", "fitnet"))
    assert crd["teacher_parameters"] == fitnet["teacher_parameters"] == 2 * crd["parameters"]
    single = 5 * 2 * BATCH * EMBEDDING * DIM + 4 * 2 * BATCH * IMAGES * DIM
    assert crd["loss_flops"] == 2 * single

"""Hours and bytes of a plan against sums by hand."""

from __future__ import annotations

from pathlib import Path

import pytest
from project import Project, photos

from distillery.core.errors import UserError
from distillery.costs import commands
from distillery.costs.disk import bytes_of, cache_bytes
from distillery.costs.estimate import Estimate, estimate
from distillery.costs.machine import Machine, here
from distillery.costs.measuring import MethodCost
from distillery.costs.prediction import forward_flops_of
from distillery.costs.rates import Rates, inference_name, keep, kept_here, step_name
from distillery.costs.work import Inference, Network, Training, Works
from distillery.planning.plan import Plan

MACHINE = Machine(processor="made up", cores=1, device="cpu", torch="0")
RESNET8 = Network(arch="resnet8", channels=1, side=8, classes=10)
KD = {"!methods": {"ce": {}, "kd": {}}, "seeds": [0, 1]}
# Three epochs of 80 images, in two batches of 32 and a smaller one that counts as one.
# 600 are tested after each epoch and for the predictions.
STEPS, EVALUATED, CACHED = 3 * 3, 4 * 600, 3 * 80
SHOWN = STEPS * 32
TRAINING, INFERENCE, KD_SECONDS = 100.0, 1000.0, 0.1


def rates(**changes: object) -> Rates:
    training = {f"{RESNET8}, batch 32, no": TRAINING}
    return Rates.model_validate(
        {
            "machine": MACHINE,
            "measured": "2000-01-01",
            "training": training,
            "inference": {inference_name(RESNET8, 1000): INFERENCE},
            "methods": {"kd, batch 32": MethodCost(seconds=KD_SECONDS, first_stage=0)},
            **changes,
        }
    )


def estimated(project: Project, planned: Plan, **changes: object) -> Estimate:
    return estimate(Works(planned, project.data), project.data, rates(**changes))


def test_work_is_counted_in_images(project: Project) -> None:
    planned = project.plan(KD)
    works = Works(planned, project.data)
    found = [works.of(run) for run in planned.runs.values()]
    trained = [work for work in found if isinstance(work, Training)]
    assert [work.network for work in trained] == [RESNET8] * 5
    assert {(work.steps, work.evaluated) for work in trained} == {(STEPS, EVALUATED)}
    taught = [work.teaching for work in trained if work.teaching]
    assert [(each.name, each.teachers, each.live) for each in taught] == [
        ("kd", (RESNET8,), False)
    ] * 2
    assert [work for work in found if isinstance(work, Inference)] == [Inference(RESNET8, CACHED)]
    assert works.unknown() == []


def test_seconds_add_up(project: Project) -> None:
    found = estimated(project, project.plan(KD))
    plain = SHOWN / TRAINING + EVALUATED / INFERENCE
    taught = plain + STEPS * KD_SECONDS
    assert found.stages["train-teacher"].seconds == pytest.approx(plain)
    assert found.stages["train-student"].seconds == pytest.approx(2 * plain + 2 * taught)
    assert found.stages["embed"].seconds == pytest.approx(CACHED / INFERENCE)
    assert found.missing_seconds == found.seconds
    assert found.seconds == pytest.approx(3 * plain + 2 * taught + CACHED / INFERENCE)
    assert (found.by_flops, found.without, found.unknown) == ((), (), ())
    assert found.stages["evaluate"].untimed == found.stages["evaluate"].runs == 5


def test_trials_are_work_and_what_selects_one_is_none(project: Project) -> None:
    vary = {"ce": {"vary": {"training": {"lr": [0.01, 0.1]}}}}
    planned = project.plan({**KD, "tuning": {"pair": "p", "methods": vary}})
    found = estimated(project, planned)
    (select,) = planned.stage("select")
    assert Works(planned, project.data).of(select) is None
    assert found.stages["trial"].seconds > 0
    assert found.stages["trial"].untimed == 0
    assert (found.stages["select"].untimed, found.stages["select"].bytes) == (1, 0)


def test_a_method_with_a_live_teacher_costs_its_forward_passes(project: Project) -> None:
    planned = project.plan({"!methods": {"fitnet": {}}})
    (student,) = Works(planned, project.data).plan.stage("train-student")
    work = Works(planned, project.data).of(student)
    assert isinstance(work, Training)
    assert work.teaching
    assert work.teaching.live
    found = estimated(project, planned)
    plain = SHOWN / TRAINING + EVALUATED / INFERENCE
    assert found.stages["train-student"].seconds == pytest.approx(plain + SHOWN / INFERENCE)
    assert found.without == ("fitnet",)


def test_what_was_not_measured_follows_from_flops(project: Project) -> None:
    planned = project.plan({"!teachers": {"t": {"arch": "resnet20"}}})
    found = estimated(project, planned)
    resnet20 = RESNET8.model_copy(update={"arch": "resnet20"})
    ratio = forward_flops_of(resnet20) / forward_flops_of(RESNET8)
    assert ratio > 3
    assert found.by_flops == (str(resnet20),)
    # A forward pass is a third of a step.
    expected = ratio * (SHOWN + EVALUATED / 3) / TRAINING
    assert found.stages["train-teacher"].seconds == pytest.approx(expected)


def test_another_precision_has_its_own_rate(project: Project) -> None:
    works = Works(project.plan(), project.data)
    training = {f"{RESNET8}, batch 32, no": TRAINING, f"{RESNET8}, batch 32, bf16": 2 * TRAINING}
    single = estimate(works, project.data, rates(training=training))
    half = estimate(works, project.data, rates(training=training), precision="bf16")
    saved = single.stages["train-teacher"].seconds - half.stages["train-teacher"].seconds
    assert saved == pytest.approx(SHOWN / TRAINING / 2)


def test_what_was_measured_in_one_precision_alone_serves_for_all(project: Project) -> None:
    planned = project.plan({"methods": {"kd": {}}})
    bf16 = {f"{RESNET8}, batch 32, bf16": TRAINING}
    only_bf16, only_single = (
        estimated(project, planned, training=training, inference={})
        for training in (bf16, {f"{RESNET8}, batch 32, no": TRAINING})
    )
    assert only_bf16.seconds == pytest.approx(only_single.seconds)
    assert only_bf16.by_flops == (str(RESNET8),)
    with pytest.raises(UserError, match="no step of these networks was measured"):
        estimated(project, planned, training={}, inference={})


def test_measurements_of_other_networks_alone_are_not_used(project: Project) -> None:
    planned = project.plan({"methods": {"kd": {}}})
    keep(rates(machine=here(), training={"resnet20 of others, batch 64, no": 1.0}), project.data)
    found = commands.estimated(project.folder / "tiny.yaml", project.data)
    assert found.estimate.seconds > 0
    assert f"images/s of {RESNET8}, batch 32, no" in found.basis
    assert planned.name == found.name


def test_gpu_hours_need_a_measurement_on_a_gpu(project: Project) -> None:
    works = Works(project.plan(KD), project.data)
    assert estimate(works, project.data, rates()).gpu_seconds is None
    machine = MACHINE.model_copy(update={"device": "made up"})
    found = estimate(works, project.data, rates(), rates(machine=machine))
    stages = ("train-teacher", "train-student", "embed")
    assert found.gpu_seconds == pytest.approx(sum(found.stages[name].seconds for name in stages))


def test_finished_runs_count_as_they_were(project: Project) -> None:
    planned = project.plan(KD)
    (prepare,) = planned.stage("prepare")
    made = project.make(planned, prepare)
    record = made.manifest["record"]
    machine = MACHINE.model_copy(update={"processor": record["processor"]})
    found = estimated(project, planned, machine=machine).stages["prepare"]
    assert (found.runs, found.missing, found.missing_seconds) == (1, 0, 0.0)
    assert found.seconds == record["wall_seconds"]
    assert found.bytes == sum(file["size"] for file in made.manifest["files"].values())


def test_images_of_a_folder_are_not_guessed(project: Project) -> None:
    data = {"source": "image-folder", "path": "somewhere", "image_size": 32, "channels": 3}
    photos(project.raw / "somewhere", train=8)
    planned = project.plan({"!data": data})
    found = estimated(project, planned)
    (prepare,) = planned.stage("prepare")
    assert found.unknown == (prepare.name,)
    assert found.seconds == 0
    assert all(stage.bytes == 0 for stage in found.stages.values())


def test_cached_bytes_by_hand() -> None:
    # 3 slots of 8 images with 74 numbers of 2 bytes and 8 bytes and a bit of index and crop.
    assert cache_bytes(8, 3, 74) == 3 * 8 * (74 * 2 + 8) + 3
    assert cache_bytes(8, 1, 74, single=True) == 8 * (74 * 4 + 8) + 1
    assert cache_bytes(8, 1, 74, boxes=True) == 8 * (74 * 2 + 8 + 12) + 1


def test_bytes_are_near_what_runs_leave(shared_project: Project) -> None:
    planned = shared_project.plan({**KD, "seeds": [0], "training": {"epochs": 1}}, "bytes")
    shared_project.make_all(planned)
    works = Works(planned, shared_project.data)
    for stage in ("train-teacher", "train-student"):
        for run in planned.stage(stage):
            found = sum(
                path.stat().st_size for path in (shared_project.data / run.location).iterdir()
            )
            assert bytes_of(run, works) == pytest.approx(found, rel=0.15), stage


def test_busy_lanes_are_as_slow_as_measured(project: Project) -> None:
    planned = project.plan()
    machine = MACHINE.model_copy(update={"cores": 2})
    alone = estimated(project, planned, machine=machine)
    measured = {"a step": {1: 100.0, 2: 160.0}}
    beside = estimated(project, planned, machine=machine, lanes=measured)
    assert beside.lanes == 2
    assert beside.seconds == pytest.approx(alone.seconds * 2 * 100 / 160)


def test_rates_are_kept_beside_older_ones(tmp_path: Path) -> None:
    file = keep(rates(), tmp_path)
    newer = rates(training={"other": 3.0}, methods={}, measured="2001-01-01")
    assert keep(newer, tmp_path) == file
    kept = kept_here(tmp_path, MACHINE)
    assert kept
    assert kept.measured == "2001-01-01"
    assert kept.training == {f"{RESNET8}, batch 32, no": TRAINING, "other": 3.0}
    assert kept.methods == rates().methods
    other = MACHINE.model_copy(update={"cores": 64})
    assert kept_here(tmp_path, other) is None
    file.write_text("{}")
    assert kept_here(tmp_path, MACHINE) is None


def test_names_of_steps_tell_what_decides_their_speed(project: Project) -> None:
    planned = project.plan({"compute": {"threads": 2}})
    work = Works(planned, project.data).of(planned.stage("train-teacher")[0])
    assert isinstance(work, Training)
    assert step_name(work, "bf16") == f"{RESNET8}, batch 32, bf16, 2 threads"
    assert step_name(work.with_threads(1), "no") == f"{RESNET8}, batch 32, no"

"""Measuring: every part of it on the smallest experiment, and the commands that show it."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path

import pytest
from called import Distillery
from project import Project
from ruamel.yaml import YAML

from distillery.costs import bench, lanes
from distillery.costs.choice import choose
from distillery.costs.machine import Machine, here
from distillery.costs.measuring import Timed, method_of, seconds_of, training_step_of
from distillery.costs.prediction import forward_flops_of
from distillery.costs.rates import Rates, kept_here
from distillery.costs.work import Training, Works

SMALL = {"data": {"split": {"per_class": 4}}, "training": {"epochs": 2, "batch_size": 16}}
METHODS = {"!methods": {"ce": {}, "kd": {}, "fitnet": {}, "sskd": {}, "fsp": {}}}
TWO_CORES = Machine(processor="made up", cores=2, device="cpu", torch="0")
PARAMS = Path(__file__).parents[2] / "params"


def trained(project: Project, method: str) -> Training:
    planned = project.plan({**SMALL, **METHODS})
    works = Works(planned, project.data)
    found = (works.of(run) for run in planned.stage("train-student"))
    return next(
        each for each in found if isinstance(each, Training) and each.settings.method == method
    )


@pytest.mark.parametrize("method", ["kd", "fitnet", "sskd", "fsp"])
def test_a_method_is_measured_with_its_teacher(project: Project, method: str) -> None:
    training = trained(project, method)
    assert training.teaching
    cost = method_of(training, training.teaching, 0.0)
    assert 0 <= cost.seconds < 10
    assert bool(cost.first_stage) == (method in ("sskd", "fsp"))


@pytest.mark.parametrize("precision", ["no", "bf16"])
def test_a_step_trains_whole_batches(project: Project, precision: bench.Precision) -> None:
    # Of 40 images, each epoch's last batch has 8, which would be faster.
    step = training_step_of(trained(project, "ce"), precision)
    assert step.images == 16
    for _ in range(4):
        step.call()


def test_the_median_leaves_out_the_first_call_and_outliers() -> None:
    naps = iter([0.3, 0.002, 0.2, 0.002, *[0.002] * 1000])
    found = seconds_of({"nap": Timed(lambda: time.sleep(next(naps)), 1)}, 0.3)
    assert 0.002 <= found["nap"] < 0.1


def test_a_short_bench_measures_the_main_thing(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench, "_STARTED", "")
    monkeypatch.setattr(lanes, "together", lambda training, count, seconds: 100.0 * count)
    works = Works(project.plan({**SMALL, "!methods": {"ce": {}, "kd": {}}}), project.data)
    found = bench.measure(works, 4.0)
    network = "resnet8 1x8x8 of 10"
    assert {f"{network}, batch 16, {each}" for each in ("no", "bf16")} <= found.training.keys()
    assert all(rate > 0 for rate in (*found.training.values(), *found.inference.values()))
    assert list(found.methods) == ["kd, batch 16"]
    assert found.machine == here()


def test_steps_that_take_long_are_measured_with_smaller_batches(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    works = Works(project.plan({**SMALL, "!methods": {"ce": {}, "kd": {}}}), project.data)
    network = trained(project, "ce").network
    monkeypatch.setattr(bench, "_FLOPS_OF_STEP", 3 * 5 * forward_flops_of(network))
    monkeypatch.setattr(bench, "_STARTED", "")
    monkeypatch.setattr(lanes, "together", lambda training, count, seconds: 100.0 * count)
    measured: list[int] = []

    def step(training: Training, precision: str) -> Timed:
        measured.append(training.batch_size)
        return Timed(lambda: None, training.batch_size)

    monkeypatch.setattr(bench, "training_step_of", step)
    found = bench.measure(works, 1.0)
    assert set(measured) == {5}
    # It stands for the step as it is, and no method can be measured like this.
    assert set(found.training) == {f"{network}, batch 16, {each}" for each in ("no", "bf16")}
    assert not found.methods


def test_the_choice_is_the_fastest(project: Project) -> None:
    works = Works(project.plan(SMALL), project.data)
    step, network = "resnet8 1x8x8 of 10, batch 16", "resnet8 1x8x8 of 10"
    rates = Rates(
        machine=here(),
        measured="2000-01-01",
        training={f"{step}, no": 100.0, f"{step}, bf16": 150.0},
        inference={f"{network}, batch {size}": 1000.0 + size for size in (16, 1000)},
        threads={step: {1: 100.0, 2: 130.0}},
        lanes={step: {1: 100.0, 2: 190.0}},
    )
    chosen = choose(works, rates)
    assert (chosen.precision, chosen.threads, chosen.lanes) == ("bf16", 1, 2)
    assert chosen.speed_up
    assert 1 < chosen.speed_up < 1.5
    assert chosen.evaluation_batch == 1000
    slow = rates.model_copy(update={"lanes": {step: {1: 100.0, 2: 105.0}}})
    assert (choose(works, slow).threads, choose(works, slow).lanes) == (2, 1)
    one = rates.model_copy(update={"lanes": {step: {1: 100.0}}, "machine": TWO_CORES})
    assert choose(works, one).lanes is None
    half = {f"{step}, no": 100.0, f"{step}, bf16": 101.0}
    assert choose(works, rates.model_copy(update={"training": half})).precision == "no"
    single = rates.model_copy(update={"training": {f"{step}, no": 100.0}})
    assert choose(works, single).precision is None


def test_what_fails_in_another_process_is_not_measured(project: Project) -> None:
    training = trained(project, "ce")
    broken = training.settings.model_copy(update={"arch": "none"})
    network = training.network.model_copy(update={"arch": "none"})
    assert lanes.together(replace(training, settings=broken, network=network), 1, 0.1) is None


@pytest.mark.slow
def test_the_commands_agree(project: Project, distillery: Distillery) -> None:
    file = project.params({**SMALL, "!methods": {"ce": {}, "kd": {}}})

    def told(*arguments: object) -> str:
        found = distillery(*arguments)
        assert not found.status
        return found.out

    data = ("--data", project.data)
    found = json.loads(told("bench", file, "--seconds", 30, "--json", *data))
    kept = kept_here(project.data, here())
    assert kept
    assert kept.training == found["rates"]["training"]
    assert found["rates"]["lanes"]
    estimated = json.loads(told("plan", "--estimate", "--json", "--params", file, *data))
    assert f"`distillery bench` of {kept.measured}" in estimated["basis"]
    assert estimated["estimate"]["seconds"] == pytest.approx(found["estimates"]["no"]["seconds"])
    text = told("bench", file, "--seconds", 15, *data)
    for word in ("training, images/s", "compute.precision", "the whole file with bf16", "kept in"):
        assert word in text


@pytest.mark.parametrize("file", sorted(PARAMS.glob("*.yaml")), ids=lambda file: file.stem)
def test_every_experiment_names_its_precision(file: Path) -> None:
    content = YAML(typ="safe", pure=True).load(file.read_text())
    assert content["compute"]["precision"] in ("no", "bf16")

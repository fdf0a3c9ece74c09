"""The rules that are made from the table of stages, without running any."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from checkout import Checkout
from project import Project
from ruamel.yaml import YAML

from distillery.planning.batches import batches_of
from distillery.runs.run import Run
from distillery.runs.stages import STAGES
from distillery.workflow import Graph

TRAINING_THREADS, CORES = 3, 16


def of(run: Run) -> Any:
    return SimpleNamespace(batch=run.name)


def graph(project: Project, largest_batch: int = 1) -> Graph:
    protocols = {"classification": {}, "computation": {}, "attention-maps": {}, "transfer": {}}
    planned = project.plan({"compute": {"threads": TRAINING_THREADS}, "protocols": protocols})
    return Graph(planned, str(project.data), largest_batch)


def test_finished_runs_make_no_work_and_a_batch_computes_the_others(project: Project) -> None:
    planned = graph(project, largest_batch=8).plan
    teacher = planned.stage("train-teacher")[0]
    project.make(planned, teacher)
    started = graph(project, largest_batch=8)
    done = f"{project.data}/{teacher.location}/manifest.json"
    assert done in started.results("teachers")
    (classified,) = (
        batch
        for batch in batches_of(planned.runs.values(), 8)
        if batch.runs[0].settings.get("protocol") == "classification"
    )
    wildcards = SimpleNamespace(batch=classified.name)
    assert started.runs(wildcards) == [run.name for run in classified.runs]
    assert len(classified.runs) == 4, "no protocol but `attention-maps` needs a device"
    assert done in started.inputs(str)(wildcards)
    evaluated = next(run for run in classified.runs if run.inputs["network"] == teacher.location)
    project.make(planned, evaluated)
    marker = Path(started.marker.format(batch=classified.name))
    marker.parent.mkdir()
    marker.touch()
    later = graph(project, largest_batch=8)
    assert later.runs(wildcards) == [run.name for run in classified.runs if run != evaluated]
    # What an earlier call left says nothing of a batch of which a run is missing.
    later.forget_outdated()
    assert not marker.exists()


def test_runs_ask_for_what_their_stage_says(project: Project) -> None:
    planned = graph(project)
    for run in planned.plan.runs.values():
        stage = STAGES[run.stage]
        if run.stage != "evaluate":
            threads = TRAINING_THREADS if stage.trains else 1
            assert planned.threads(stage, CORES)(of(run)) == threads
            assert planned.gpu(stage)(of(run)) == int(stage.gpu)
    assert {name for name, stage in STAGES.items() if not stage.gpu} == {
        "prepare",
        "split",
        "collect",
    }


def test_evaluations_ask_for_what_their_protocol_says(project: Project) -> None:
    """Whatever measures time gets the machine to itself; no table of numbers needs a GPU."""
    planned, stage = graph(project), STAGES["evaluate"]
    asked = {
        run.settings["protocol"]: (
            planned.threads(stage, CORES)(of(run)),
            planned.gpu(stage)(of(run)),
        )
        for run in planned.plan.stage("evaluate")
    }
    assert asked["classification"] == (1, 0)
    assert asked["computation"] == (CORES, 1)
    assert asked["attention-maps"] == (1, 1)
    # A cluster has no number of cores; there the usual ones have to do.
    assert {planned.threads(stage, None)(of(run)) for run in planned.plan.stage("evaluate")} == {1}


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    return Checkout(tmp_path_factory.mktemp("rules") / "a folder with spaces")


def test_there_is_a_rule_for_each_stage_and_each_folder(checkout: Checkout) -> None:
    listed = checkout.run("snakemake", "--list-rules").split()
    rules = {stage.rule for stage in STAGES.values()}
    folders = {stage.folder for stage in STAGES.values()}
    assert {*rules, *folders, "build_report", "all"} <= set(listed)


def test_a_params_file_is_read_and_its_name_may_hold_spaces(checkout: Checkout) -> None:
    """This pins what the Snakefile asks of Snakemake's internals."""
    checkout.write_params({"name": "other"}, "my own")
    said = checkout.snakemake("-n", "-p", "--configfile", "params/my own.yaml")
    assert "distilling digits-resnet8-ce-s0-" in said
    assert "exec distillery run digits-resnet8-ce-s0-" in said
    assert "--params 'params/my own.yaml' --logs logs > logs/train-student/" in said
    assert "reports/other/index.html" in said


def test_lint_finds_nothing_but_that_the_environment_is_the_locked_one(checkout: Checkout) -> None:
    """Rules name no container or conda environment: ``uv.lock`` is the environment of all."""
    printed = checkout.run("snakemake", "--lint", fails=True)
    found = {line.strip() for line in printed.splitlines() if line.startswith("    * ")}
    assert found == {"* Specify a conda environment or container for each rule.:"}


def test_dvc_stages_list_the_folders_that_their_runs_read(project: Project) -> None:
    root = Path(__file__).parents[2]
    listed = YAML(typ="safe").load((root / "dvc.yaml").read_text())["stages"]
    owner = {stage["outs"][0].copy().popitem()[0]: stage for stage in listed.values()}
    changes = {
        "!methods": {"kd": {}, "at": {}},
        "protocols": {"computation": {}, "transfer": {}},
    }
    for run in project.plan(changes).runs.values():
        deps = owner[f"data/{run.folder}"]["deps"]
        for location in run.inputs.values():
            folder = f"data/{location.partition('/')[0]}"
            assert folder in deps or folder == f"data/{run.folder}", (run.stage, folder)

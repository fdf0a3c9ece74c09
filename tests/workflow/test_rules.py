"""The rules that are made from the table of stages, without running any."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from checkout import Checkout
from project import Project, give_other_contents, photos
from ruamel.yaml import YAML

from distillery import workflow
from distillery.planning.batches import Size, batches_of
from distillery.runs.artifact import Artifact
from distillery.runs.run import Run
from distillery.runs.stages import STAGES
from distillery.workflow import Graph

TRAINING_THREADS, CORES = 3, 16


def of(run: Run) -> Any:
    return SimpleNamespace(batch=run.name)


def graph(project: Project, largest: int = 1) -> Graph:
    protocols = {"classification": {}, "computation": {}, "attention-maps": {}, "transfer": {}}
    planned = project.plan({"compute": {"threads": TRAINING_THREADS}, "protocols": protocols})
    return Graph(planned, str(project.data), Size(largest))


def test_finished_runs_make_no_work_and_a_batch_computes_the_others(project: Project) -> None:
    planned = graph(project, largest=8).plan
    teacher = planned.stage("train-teacher")[0]
    project.make(planned, teacher)
    started = graph(project, largest=8)
    done = f"{project.data}/{teacher.location}/manifest.json"
    assert done in started.results("teachers")
    (classified,) = (
        batch
        for batch in batches_of(planned.runs.values(), Size(8))
        if batch.runs[0].settings.get("protocol") == "classification"
    )
    wildcards = SimpleNamespace(batch=classified.name)
    assert started.runs(wildcards) == [run.name for run in classified.runs]
    assert len(classified.runs) == 4, "no protocol but `attention-maps` needs a device"
    assert done in started.inputs(str)(wildcards)
    evaluated = next(run for run in classified.runs if run.inputs["network"] == teacher.location)
    project.make(planned, evaluated)
    marker = Path(started.marker(STAGES["evaluate"]).format(batch=classified.name))
    marker.parent.mkdir(parents=True)
    marker.touch()
    later = graph(project, largest=8)
    assert later.runs(wildcards) == [run.name for run in classified.runs if run != evaluated]
    prepared = SimpleNamespace(batch=planned.stage("prepare")[0].name)
    assert later.runs(prepared) == [prepared.batch], "a job elsewhere may find nothing to do"
    # What an earlier call left says nothing of a batch of which a run is missing.
    later.forget_outdated()
    assert not marker.exists()


def test_what_hangs_on_other_contents_is_made_again(project: Project) -> None:
    """Of a finished experiment: its evaluation, what collects, and the report."""
    first = graph(project)
    student = first.plan.stage("train-student")[0]
    project.make_all(first.plan)
    report = Path(first.report_marker())
    report.parent.mkdir(parents=True)
    collected = Artifact(project.data / first.plan.collected)
    report.write_text(json.dumps({"collected": collected.contents, "files": {}}))
    again = graph(project)
    again.forget_outdated()
    assert report.exists()
    give_other_contents(project.data / student.location)
    later = graph(project)
    runs = later.plan.runs
    hanging = {name for name, run in runs.items() if student.location in run.inputs.values()}
    batches = batches_of(runs.values(), Size(1))
    missing = {run.location for batch in batches for run in later.to_do(batch.name)}
    assert missing == hanging | {later.plan.collected}
    later.forget_outdated()
    assert not report.exists()


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
        "select",
        "collect",
    }


def test_decoding_asks_for_all_cores(project: Project) -> None:
    """On a cluster, which has no such number, for those of a training run."""
    folder = {"source": "image-folder", "path": "pets", "image_size": 8}
    photos(project.raw / "pets", train=8)
    threads = {"compute": {"threads": TRAINING_THREADS}}
    asked = {}
    for data in ({}, {"!data": folder}):
        planned = Graph(project.plan({**threads, **data}), str(project.data), Size(1))
        (run,) = planned.plan.stage("prepare")
        stage = STAGES["prepare"]
        asked[run.slug] = [planned.threads(stage, cores)(of(run)) for cores in (CORES, None)]
    assert asked == {"digits": [1, 1], "pets": [CORES, TRAINING_THREADS]}


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


def test_jobs_of_other_machines_ask_by_size_and_for_more_when_tried_again(
    project: Project,
) -> None:
    """What is known of the digits is their number; a network of 11 million weights takes more."""
    asked = {}
    for student in ("resnet8", "imagenet_resnet18"):
        changes = {"!pairs": {"p": {"teacher": "t", "student": student}}}
        planned = Graph(project.plan(changes), str(project.data), Size(1))
        stage, wildcards = STAGES["train-student"], of(planned.plan.stage("train-student")[0])
        memory, runtime = planned.memory(stage, None), planned.runtime(stage, None)
        asked[student] = memory(wildcards, 1), runtime(wildcards, 1)
        assert memory(wildcards, 3) == 3 * memory(wildcards, 1)
        assert runtime(wildcards, 2) == 2 * runtime(wildcards, 1)
        assert runtime(wildcards, 1) < stage.runtime
    small, large = asked["resnet8"], asked["imagenet_resnet18"]
    assert large[0] > small[0] + 6 * 4 * 11e6 / 2**20 - 1
    assert large[1] >= small[1]


def test_jobs_ask_for_more_with_more_images(project: Project) -> None:
    stage, asked = STAGES["train-student"], []
    for data in ({"source": "cifar10"}, {"source": "cinic10"}):
        changes = {"!data": data, "training": {"epochs": 60}}
        planned = Graph(project.plan(changes), str(project.data), Size(1))
        wildcards = of(planned.plan.stage(stage.name)[0])
        ask = planned.memory(stage, None), planned.runtime(stage, None)
        asked.append([each(wildcards, 1) for each in ask])
    assert all(few < many for few, many in zip(*asked, strict=True))


def test_lanes_take_threads_and_memory_as_several_runs_do(project: Project) -> None:
    """And are no more than there are runs, or cores."""
    changes = {"!methods": {"ce": {}}, "seeds": [0, 1, 2], "compute": {"threads": 2}}
    planned = Graph(project.plan(changes), str(project.data), Size(8, lanes=4))
    stage = STAGES["train-student"]
    (batch,) = batches_of(planned.plan.stage(stage.name), planned.size)
    wildcards = SimpleNamespace(batch=batch.name)
    assert planned.threads(stage, CORES)(wildcards) == 3 * 2
    assert planned.memory(stage, CORES)(wildcards, 1) == 3 * stage.memory_mb
    assert planned.runtime(stage, CORES)(wildcards, 1) == stage.runtime
    assert [planned.lanes(stage)(wildcards, threads) for threads in (1, 2, 5, 6)] == [1, 1, 2, 3]
    evaluated = STAGES["evaluate"]
    for each in batches_of(planned.plan.stage("evaluate"), planned.size):
        assert planned.lanes(evaluated)(SimpleNamespace(batch=each.name), CORES) == 1


def test_what_others_wait_for_comes_first(project: Project) -> None:
    planned = graph(project)
    order = sorted(STAGES.values(), key=planned.priority, reverse=True)
    assert [stage.name for stage in order] == list(STAGES)


def test_other_machines_get_one_run_a_job_unless_told_otherwise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv(workflow.SIZE_OF_JOBS, raising=False)
    asked = {
        (None, None, 2): Size(workflow.LARGEST_BATCH, 1, 2),
        (4, 3, 2): Size(4, 3, 2),
        (None, None, None): Size(1, 1, 1),
        (16, 8, None): Size(16, 8, 1),
    }
    for (batch, lanes, cores), size in asked.items():
        monkeypatch.setenv(workflow.SIZE_OF_JOBS, "of an earlier call")
        assert workflow.size_of_jobs(batch, lanes, cores, is_first=True) == size
        # A job there has cores, but neither `batch` nor `lanes`.
        assert workflow.size_of_jobs(None, None, 4, is_first=False) == size


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
    assert "distilling digits-p-ce-s0-" in said
    assert "exec distillery run digits-p-ce-s0-" in said
    assert "--params 'params/my own.yaml' --logs logs > logs/jobs/train-student/" in said
    assert "exec distillery report --complete --params 'params/my own.yaml'" in said


def test_a_job_on_another_machine_finds_its_batch(checkout: Checkout) -> None:
    """As Snakemake calls itself there, with what the first call left in the environment."""
    methods = {"ce": {}, "kd": {}}
    checkout.write_params({"name": "many", "methods": methods, "seeds": [0, 1, 2]}, "many")
    given = ("--configfile", "params/many.yaml", "-n", "-p")
    said = checkout.snakemake(*given, "--resources", "batch=3", "lanes=2")
    assert said.count("--lanes 2") == 2
    (name, *_) = re.findall(r"logs/jobs/train-student/(3-runs-\w+)\.log", said)
    there = ("--mode", "remote", "--target-jobs", f"train_student:batch={name}")
    size = Size(3, 2, 2)
    size_there = {workflow.SIZE_OF_JOBS: json.dumps(asdict(size))}
    assert "--lanes 2" in checkout.run(
        "snakemake", "--cores", "2", *given, *there, environment=size_there
    )


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

"""The command line: exit statuses, and one line for whatever goes wrong."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from called import Distillery, Result
from processes import Command, wait_for
from project import Project, photos

from distillery.core.locks import try_lock
from distillery.runs import stages
from distillery.runs.artifact import Artifact, published
from distillery.runs.produce import SCRATCH
from distillery.runs.stages import STAGES
from distillery.training import checkpoint

OF_EXPERIMENT = ["plan", "report", "adopt", "gc"]
CHANGES = {"!methods": {"kd": {}}}


def options(project: Project, name: str = "tiny") -> tuple[str, ...]:
    return "--params", str(project.folder / f"{name}.yaml"), "--data", str(project.data)


# What everyone types first


def test_help_and_a_known_plan_come_without_torch(project: Project) -> None:
    """The import of torch takes longer than everything else that these commands do."""
    project.plan()
    script = """
import sys
from distillery import cli
for arguments in sys.argv[1:]:
    command, sys.argv = sys.argv, ["distillery", *arguments.split("|")]
    try:
        cli.main()
    except SystemExit as end:
        assert not end.code, end.code
    sys.argv = command
heavy = {"torch", "pandas", "matplotlib", "accelerate"} & sys.modules.keys()
assert not heavy, heavy
"""
    plan = "|".join(("plan", *options(project)))
    arguments = ["--help", "run|--help", plan, f"verify|--data|{project.data}"]
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    for word in ("run", *OF_EXPERIMENT, "schema", "verify", "7 runs, 0 done, 7 to do"):
        assert word in done.stdout


def test_the_schema_is_json(distillery: Distillery) -> None:
    assert "teachers" in json.loads(distillery("schema").out)["properties"]


# Wrong input


def test_an_unknown_run_is_refused_before_any_is_computed(
    project: Project, distillery: Distillery
) -> None:
    planned = project.plan(CHANGES)
    (run,) = planned.stage("train-student")
    wrong = run.slug.replace("kd", "dk")
    (first,) = planned.stage("prepare")
    found = distillery("run", first.name, wrong, *options(project))
    assert found.status == 2
    assert f"unknown run '{wrong}'; did you mean '{run.slug}'?" in found.line
    assert "`distillery plan` lists the runs" in found.line
    assert not (project.data / first.location).exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["methods", "crdd"], "unknown method 'crdd'; did you mean 'crd'?"),
        (["bench", "none.yaml"], "none.yaml: no such params file"),
        (["import-teacher", "none.pth", "--arch", "resnet8"], "none.pth: no such file"),
    ],
)
def test_an_unknown_name_is_refused(
    project: Project, distillery: Distillery, arguments: list[str], message: str
) -> None:
    project.plan()
    found = distillery(*arguments, *(options(project) if arguments[0] == "import-teacher" else ()))
    assert found.status == 2
    assert found.line.startswith(message)


@pytest.mark.parametrize(
    "stage", [stage for stage in STAGES if stage not in ("prepare", "extract")]
)
def test_a_missing_input_is_named_with_what_to_do(
    project: Project, distillery: Distillery, stage: str
) -> None:
    search = {"vary": {"options": {"temperature": [2, 4]}}}
    planned = project.plan({**CHANGES, "tuning": {"pair": "p", "methods": {"kd": search}}})
    if stage == "import-teacher":
        teachers = {"t": {"arch": "resnet8", "checkpoint": project.outside("t")}}
        planned = project.plan({"!teachers": teachers})
    (run, *_) = planned.stage(stage)
    needed = next(iter(run.inputs.values()))
    found = distillery("run", run.name, *options(project))
    assert found.status == 2
    assert found.line == (
        f"{project.data / needed}: this run has not been made (input of {run.location}); "
        "run snakemake to make it"
    )


def test_a_report_needs_results(project: Project, distillery: Distillery) -> None:
    planned = project.plan()
    found = distillery("report", *options(project))
    assert found.status == 2
    assert f"{planned.collected}: this run has not been made; run snakemake" in found.line


@pytest.mark.parametrize("command", ["run", *OF_EXPERIMENT])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "{file}: no such params file"),
        ("name: [", "{file}: line 1: "),
        ("named: x\n", "{file}: unknown key 'named'; did you mean 'name'?"),
    ],
)
def test_wrong_params_are_refused(
    tmp_path: Path, distillery: Distillery, command: str, content: str | None, message: str
) -> None:
    file = tmp_path / "some params.yaml"
    if content is not None:
        file.write_text(content)
    run = ["x"] if command == "run" else []
    found = distillery(command, *run, "--params", file, "--data", tmp_path / "data")
    assert found.status == 2
    assert found.line.startswith(message.format(file=file))


@pytest.mark.parametrize(
    "arguments",
    [
        ["run"],
        ["train"],
        ["plan", "--parms", "x"],
        ["plan", "--params", "."],
        ["import-teacher", "without-arch.pth"],
        ["adopt", "--check", "0"],
        ["bench"],
    ],
)
def test_wrong_usage_has_status_2(distillery: Distillery, arguments: list[str]) -> None:
    assert distillery(*arguments).status == 2


def test_images_that_are_not_known_are_not_measured(
    project: Project, distillery: Distillery
) -> None:
    data = {"source": "image-folder", "path": "somewhere", "image_size": 32, "channels": 3}
    photos(project.raw / "somewhere", train=8)
    planned = project.plan({"!data": data})
    (prepare,) = planned.stage("prepare")
    found = distillery("bench", project.folder / "tiny.yaml", "--data", project.data)
    assert found.status == 2
    assert f"not known before they are prepared; run `distillery run {prepare.name}" in found.line


# Folders of images


def test_a_params_file_is_written_for_a_folder(project: Project, distillery: Distillery) -> None:
    photos(project.folder / "pets", train=8, test=0)
    file = project.folder / "new.yaml"
    options = ("--params", str(file), "--data", str(project.data))
    found = distillery("init", project.folder / "pets", *options)
    assert found.status == 0
    assert found.out.splitlines()[0].endswith("pets: 12 training and 4 test images of 2 classes.")
    assert found.out.splitlines()[-1] == f"  snakemake --cores all --configfile {file}"
    planned = distillery("plan", *options)
    assert "note: data: no test part: 20 %" in planned.out
    assert distillery("init", project.folder / "pets", *options).line.startswith(f"{file}: exists")
    missing = distillery("init", project.folder / "none", *options)
    assert (missing.status, "none: no such folder or archive" in missing.line) == (2, True)


def test_raw_files_are_verified(project: Project, distillery: Distillery) -> None:
    pets = photos(project.raw / "pets")
    changes = {"!data": {"source": "image-folder", "path": "pets"}, "training": {"batch_size": 4}}
    planned = project.plan(changes)
    artifact = project.make(planned, planned.stage("prepare")[0])
    assert distillery("verify", "--data", project.data).status == 0
    image = pets / "train" / "cat" / "0.png"
    before = image.read_bytes()
    image.write_bytes((pets / "train" / "cat" / "1.png").read_bytes())
    found = distillery("verify", "--data", project.data)
    assert found.status == 3
    assert f"{pets}: has changed since {artifact.path} was made of it" in found.out
    # What was prepared of earlier contents is no problem where the present ones are, too.
    again = project.plan(changes)
    project.make(again, again.stage("prepare")[0])
    assert distillery("verify", "--data", project.data).status == 0
    image.write_bytes(before)
    assert distillery("verify", "--data", project.data).status == 0


# Looking after what is there


def test_an_estimate_says_what_it_is_based_on(project: Project, distillery: Distillery) -> None:
    planned = project.plan(CHANGES)
    lines = distillery("plan", "--estimate", *options(project)).out.splitlines()
    assert lines[0].split()[:4] == ["stage", "runs", "to", "do"]
    row = next(line.split() for line in lines if line.startswith("train-student"))
    assert row[1:3] == [str(len(planned.stage("train-student")))] * 2
    assert any(line.startswith("On this machine") for line in lines)
    assert "GPU-hours: not measured for all of it, not measured for what is to do" in lines
    assert any("else FLOPs and" in line and "images/s of resnet8" in line for line in lines)


def test_a_plan_tells_what_is_done(project: Project, distillery: Distillery) -> None:
    planned = project.plan(CHANGES)
    first, *others = planned.runs.values()
    assert distillery("run", first.key, *options(project)).out == (
        f"{project.data / first.location}\n"
    )
    # The manifest's path is as good a name, and a run that is there is made at once.
    again = distillery("run", f"data/{first.location}/manifest.json", *options(project))
    assert again.status == 0
    told = json.loads(distillery("plan", "--json", *options(project)).out)
    assert told["name"] == "tiny"
    assert told["report"] == planned.report_key
    assert told["runs"][0] == {
        "stage": "prepare",
        "run": first.location,
        "key": first.key,
        "done": True,
        "outdated": False,
    }
    assert [run["key"] for run in told["runs"][1:]] == [run.key for run in others]
    assert not any(run["done"] for run in told["runs"][1:])
    lines = distillery("plan", *options(project)).out.splitlines()
    assert lines[0].split() == ["done", "prepare", first.location]
    assert lines[1].split()[:2] == ["to", "do"]
    assert lines[-1] == f"{len(told['runs'])} runs, 1 done, {len(others)} to do"


def test_damage_has_a_status_of_its_own(project: Project, distillery: Distillery) -> None:
    planned = project.plan()
    made = project.make(planned, planned.stage("split")[0])
    found = distillery("verify", "--data", project.data)
    assert (found.status, found.out) == (0, "2 runs checked, 0 problems\n")
    table = made.path / "train.csv"
    table.write_text(table.read_text().replace("1", "2", 1))
    other = project.data / made.manifest["inputs"]["prepared"]
    (other / "manifest.json").write_text("{}")
    found = distillery("verify", "--data", project.data)
    assert found.status == 3
    broken, changed, summary = found.out.splitlines()
    assert str(other / "manifest.json") in broken
    assert str(table) in changed
    assert summary == "2 runs checked, 2 problems"


def test_a_damaged_input_is_named(project: Project, distillery: Distillery) -> None:
    planned = project.plan()
    made = project.make(planned, planned.stage("split")[0])
    (made.path / "train.csv").unlink()
    (run,) = planned.stage("train-student")
    found = distillery("run", run.name, *options(project))
    assert found.status == 3
    assert found.line.startswith(f"{made.path / 'train.csv'}: missing; delete the folder")


def listed(result: Result) -> set[str]:
    return {line.split()[-1] for line in result.out.splitlines()[:-1]}


def test_only_what_no_params_file_wants_is_removed(
    project: Project, distillery: Distillery, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, other = project.plan(), project.plan({"data": {"split": {"per_class": 4}}}, "other")
    for planned in (kept, other):
        project.make(planned, planned.stage("split")[0])
    (wanted,), (unwanted,) = kept.stage("split"), other.stage("split")
    gc = ("gc", "--data", project.data, "--params")
    both = distillery(*gc, project.folder / "tiny.yaml", "--params", project.folder / "other.yaml")
    assert (both.status, both.out) == (0, "0 runs, 0.0 MiB could be removed\n")
    # What lies in params/ is kept when no file is named.
    monkeypatch.chdir(project.folder)
    (project.folder / "params").mkdir()
    (project.folder / "tiny.yaml").rename(project.folder / "params" / "tiny.yaml")
    for arguments, verb in (([], "could be removed"), (["--remove"], "removed")):
        found = distillery("gc", "--data", project.data, *arguments)
        assert found.status == 0
        assert listed(found) == {str(project.data / unwanted.location)}
        assert found.out.splitlines()[-1] == f"1 runs, 0.0 MiB {verb}"
    assert not (project.data / unwanted.location).exists()
    assert Artifact(project.data / wanted.location).problems() == []
    assert distillery("gc", "--data", project.data).out == "0 runs, 0.0 MiB could be removed\n"


@pytest.mark.parametrize("content", [None, "wrong.yaml", "also.yml"])
def test_nothing_is_removed_without_a_params_file(
    project: Project,
    distillery: Distillery,
    monkeypatch: pytest.MonkeyPatch,
    content: str | None,
) -> None:
    planned = project.plan()
    project.make(planned, planned.stage("split")[0])
    monkeypatch.chdir(project.folder)
    if content:
        (project.folder / "params").mkdir()
        text = "name: [" if content == "wrong.yaml" else (project.folder / "tiny.yaml").read_text()
        (project.folder / "params" / content).write_text(text)
    found = distillery("gc", "--remove", "--data", project.data)
    if content == "also.yml":
        assert found.out.startswith("0 runs")
    else:
        assert found.status == 2
        assert found.line in (
            "no params file names the runs to keep",
            "params/wrong.yaml: line 1: expected the node content, but found '<stream end>'",
        )
    assert len(list(published(project.data))) == 2


# Runs in processes of their own


def test_several_runs_are_tried_and_the_first_failure_is_told(project: Project) -> None:
    """Each has a process and a record of its own."""
    planned = project.plan(CHANGES)
    (prepare,), (split,) = planned.stage("prepare"), planned.stage("split")
    (collect,), (teacher,) = planned.stage("collect"), planned.stage("train-teacher")
    made = project.make(planned, split)
    (made.path / "train.csv").unlink()
    # Damaged input: 3. Missing inputs: 2. There already: 0.
    names = (teacher.name, collect.name, prepare.name)
    command = Command(project.folder, "run", *names, *options(project))
    assert command.status() == 3
    # What others read comes first.
    done, failed, missing = command.output().splitlines()
    assert failed.startswith(f"distillery: {made.path / 'train.csv'}: missing")
    assert "this run has not been made (input of evaluations/" in missing
    assert done == str(project.data / prepare.location)


def test_several_runs_stop_when_they_are_asked_to(project: Project) -> None:
    planned = project.plan({"training": {"epochs": 200, "evaluate_every": 200}})
    (teacher,), (student,) = planned.stage("train-teacher"), planned.stage("train-student")
    for location in teacher.inputs.values():
        project.make(planned, planned.runs[location])
    names = (teacher.name, student.name)
    command = Command(project.folder, "run", *names, *options(project))
    wait_for(lambda: "train 1/" in command.output(), "the first epoch")
    command.send(signal.SIGTERM)
    assert command.status() == 143
    scratch = project.data / SCRATCH
    assert checkpoint.load(scratch / teacher.key)
    assert not (scratch / student.key).exists()


def test_a_second_writer_says_that_it_waits_and_can_be_ended(project: Project) -> None:
    planned = project.plan()
    (run, *_) = planned.stage("split")
    for location in run.inputs.values():
        project.make(planned, planned.runs[location])
    lock = try_lock(project.data / SCRATCH / run.key / "lock")
    assert lock
    with lock:
        waiting = Command(project.folder, "run", run.name, *options(project))
        told = f"{run.name}: another process is computing this run; waiting for it\n"
        wait_for(lambda: waiting.output() == told, "a line")
        waiting.send(signal.SIGTERM)
        assert waiting.status() == -signal.SIGTERM  # 143 to a shell


def test_a_signal_makes_a_checkpoint_from_which_the_next_start_goes_on(project: Project) -> None:
    changes = {"training": {"epochs": 60, "evaluate_every": 60}}
    planned = project.plan(changes)
    (run,) = planned.stage("train-student")
    for location in run.inputs.values():
        project.make(planned, planned.runs[location])
    train = ("run", run.name, *options(project))
    first = Command(project.folder, *train)
    wait_for(lambda: "train 1/" in first.output(), "the first epoch")
    first.send(signal.SIGTERM)
    assert first.status() == 143
    assert first.output().splitlines()[-1] == (
        "distillery: stopped; the next start resumes from the checkpoint"
    )
    saved = checkpoint.load(project.data / SCRATCH / run.key)
    assert saved
    epochs = len(saved["state"]["history"])
    assert 1 <= epochs < 60
    assert not (project.data / run.location).exists()
    again = Command(project.folder, *train)
    assert again.status() == 0, again.output()
    assert f"train {epochs}/60" not in again.output()
    assert f"train {epochs + 1}/60" in again.output()
    straight = Project(project.folder / "other")
    for location in run.inputs.values():
        straight.make(planned, planned.runs[location])
    expected = Artifact(stages.execute(straight.data, run))
    assert Artifact(project.data / run.location).manifest["files"] == expected.manifest["files"]

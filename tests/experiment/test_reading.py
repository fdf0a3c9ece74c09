"""From a file to an experiment: what a mistake says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from project import Project, refusal

from distillery.core.errors import UserError
from distillery.experiment import reading
from distillery.planning import loading

PARAMS = sorted((Path(__file__).parents[2] / "params").glob("*.yaml"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"trainig": {}}, "unknown key 'trainig'; did you mean 'training'?"),
        ({"training": {"epoch": 3}}, "training: unknown key 'epoch'; did you mean 'epochs'?"),
        ({"training": {"epochs": 0}}, "training.epochs: found 0; must be at least 1"),
        (
            {"training": {"epochs": "many"}},
            "training.epochs: found 'many'; must be a whole number",
        ),
        ({"training": {"schedule": "stps"}}, "training.schedule: unknown value 'stps'; did you"),
        ({"training": {"milestones": [3]}}, "training: milestones [3] must increase and be below"),
        ({"data": {"source": "digit"}}, "unknown data source 'digit'; did you mean 'digits'?"),
        ({"!teachers": {}}, "teachers: found nothing; needs at least 1 entry"),
        (
            {"!methods": {"a.b": {}}},
            "methods.a.b: found 'a.b'; must be letters and digits, with single - or _ between",
        ),
        ({"seeds": 3}, "seeds: found 3; must be a list, as [3]"),
        ({"!title": 3}, "title: found 3; must be text"),
        (
            {"methods": {"kd": {"weights": 3}}},
            "methods.kd.weights: found 3; must be keys with values below it",
        ),
        ({"!methods": None}, "methods: found nothing; must be keys with values below it"),
        ({"pairs": {"p": {"teacher": 3}}}, "pairs.p.teacher: found 3; must be text, or must be a"),
        (
            {"pairs": {"p": {"teacher": ["t", "x y"]}}},
            "pairs.p.teacher[1]: found 'x y'; must be letters and digits",
        ),
        ({"training": {"nesterov": "perhaps"}}, "found 'perhaps'; must be true or false"),
        ({"data": {"sha256": "abc"}}, "data.sha256: found 'abc'; must be 64 hexadecimal digits"),
        ({"data": {"augmentation": {"scale": [0.1]}}}, "data.augmentation.scale[1]: is missing"),
        ({"training": {"LR": 0.1}}, "training: unknown key 'LR'; did you mean 'lr'?"),
        ({"methods": {"DKD": {}}}, "methods.DKD: unknown method 'DKD'; did you mean 'dkd'?"),
        (
            {"teachers": {"t": {"arch": "resnet18"}}},
            "teachers.t.arch: unknown model 'resnet18'; did you mean 'imagenet_resnet18'?",
        ),
        ({"seeds": [0, 1, 0]}, "seeds: found [0, 1, 0]; they must differ"),
        ({"seeds": [-1]}, "seeds[0]: found -1; must be at least 0"),
        (
            {"teachers": {"t": {"channels": [0, 0]}}},
            "teachers.t.channels: found [0, 0]; they must differ",
        ),
        (
            {"training": {"instances": 3}},
            "training: batch_size (32) must be a multiple of instances (3)",
        ),
        (
            {"pairs": {"p": {"without": ["kd"], "methods": {"kd": {}}}}, "methods": {"kd": {}}},
            "pairs.p: 'kd' is both in methods and in",
        ),
    ],
)
def test_a_wrong_value_costs_one_line(
    project: Project, changes: dict[str, Any], message: str
) -> None:
    assert message in project.mistake(changes)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a: [", "line 1: "),
        ("name: x\nname: y\n", "line 2: the key 'name' is given twice"),
        ("", "is empty"),
        ("a:\n\tb: 1\n", "line 2: a tab; YAML is indented by spaces"),
        ("a: b: c\n", "line 1: a second ':' in the line"),
        ("a:\n  ce:{}\n  kd: {}\n", "line 2: a space is missing behind 'ce:'"),
        ("a:\n  lr:0.1\n  kd: {}\n", "line 2: a space is missing behind 'lr:'"),
        ("- a\n", "found a list; must be keys with values below it"),
        ("\x00", "not YAML"),
    ],
)
def test_what_is_not_a_params_file(tmp_path: Path, content: str, message: str) -> None:
    file = tmp_path / "x.yaml"
    file.write_text(content)
    assert message in refusal(reading.load, file)


@pytest.mark.parametrize(
    "folder", ["/etc", "../outside", "reports/../../x", ".git", "data/x", "src", "", "a--b", "a\nb"]
)
def test_a_report_stays_in_the_checkout(project: Project, folder: str) -> None:
    said = project.mistake({"report": {"folder": folder}})
    assert "report.folder: found " in said
    assert "allowed is a folder of this checkout" in said


def test_a_report_may_lie_in_a_folder_of_the_checkout(project: Project) -> None:
    for folder in ("reports", "reports/mine", "results.2026"):
        assert project.plan({"report": {"folder": folder}}).report.folder == folder


def test_names_are_short_enough_for_files(project: Project) -> None:
    said = project.mistake({"name": "n" * 300})
    assert said.startswith("name: found 'nnn")
    assert said.endswith("...; must have at most 64 characters")
    assert len(said) < 200


def test_numbers_are_finite(project: Project) -> None:
    file = project.params()
    file.write_text(file.read_text() + "compute: {threads: .inf}\n")
    with pytest.raises(UserError, match=r"compute\.threads: found inf; allowed are finite"):
        reading.load(file)


def test_a_wrong_name_of_the_file_names_the_nearest(project: Project) -> None:
    project.params(name="digits")
    with pytest.raises(UserError, match=r"no such params file; did you mean 'digits\.yaml'\?"):
        loading.load(project.folder / "digit.yaml", project.data)


def test_a_plan_is_made_where_nothing_can_be_written(project: Project) -> None:
    (project.folder / "file").write_text("")
    assert loading.load(project.params(), project.folder / "file" / "data").runs


def test_words_of_yaml_are_words(project: Project) -> None:
    file = project.params()
    file.write_text(file.read_text() + "compute: {precision: no}\nseeds: [0, 1]\n")
    experiment = reading.load(file)
    assert experiment.compute.precision == "no"
    assert experiment.seeds == (0, 1)


@pytest.mark.parametrize("file", PARAMS, ids=lambda path: path.name)
def test_every_params_file_of_the_project_is_valid(file: Path) -> None:
    assert reading.load(file).name

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from project import Project

from distillery.core.errors import UserError
from distillery.experiment import params

PARAMS = sorted((Path(__file__).parents[2] / "params").glob("*.yaml"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"!methods": {"crdd": {}}}, "methods.crdd: unknown method 'crdd'; did you mean 'crd'?"),
        ({"trainig": {}}, "unknown key 'trainig'; did you mean 'training'?"),
        ({"training": {"epoch": 3}}, "training: unknown key 'epoch'; did you mean 'epochs'?"),
        ({"training": {"epochs": 0}}, "training.epochs: found 0; input should be greater than"),
        (
            {"training": {"epochs": "many"}},
            "training.epochs: found 'many'; input should be a valid",
        ),
        ({"training": {"schedule": "stps"}}, "training.schedule: unknown value 'stps'; did you"),
        ({"training": {"milestones": [3]}}, "training: milestones [3] must increase and be below"),
        ({"data": {"source": "digit"}}, "unknown data source 'digit'; did you mean 'digits'?"),
        ({"!teachers": {"t": {"arch": "resnet9"}}}, "teachers.t.arch: unknown model 'resnet9'"),
        ({"!teachers": {}}, "teachers: found dict; dictionary should have at least 1 item"),
        ({"pairs": {"p": {"teacher": "u"}}}, "pairs.p.teacher: unknown teacher 'u'"),
        ({"pairs": {"p": {"methods": {"kd": {}}}}}, "pairs.p.methods: unknown method entry 'kd'"),
        ({"!methods": {"a.b": {}}}, "methods.a.b.[key]: found 'a.b'; string should match pattern"),
        (
            {"!methods": {"crd": {"options": {"negativs": 1}}}},
            "methods.crd.options: unknown key 'negativs'; did you mean 'negatives'?",
        ),
        (
            {"!methods": {"ce": {}, "crd": {"options": {"temperature": -1}}}},
            "methods.crd.options.temperature: found -1; input should be greater than 0",
        ),
        ({"protocols": {"clasification": {}}}, "unknown protocol 'clasification'; did you mean"),
        (
            {"protocols": {"classification": {"options": {"calibration_bins": 1}}}},
            "protocols.classification.options.calibration_bins: found 1; input should be greater",
        ),
        (
            {"ablations": {"a": {"pair": "p", "method": "kd", "vary": {"options": {}}}}},
            "ablations.a.method: unknown method entry 'kd'",
        ),
        ({"seeds": [0, 1, 0]}, "seeds: found [0, 1, 0]; they must differ"),
        ({"seeds": [-1]}, "seeds[0]: found -1; input should be greater than or equal to 0"),
        (
            {"ablations": {"main": {"pair": "p", "method": "ce", "vary": {"weights": {}}}}},
            "ablations.main: this id names another part of the report",
        ),
        ({"report": {"baseline": "cee"}}, "report.baseline: unknown method entry 'cee'"),
    ],
)
def test_a_mistake_costs_one_line(project: Project, changes: dict[str, Any], message: str) -> None:
    file = project.params(changes)
    with pytest.raises(UserError) as error:
        params.load(file)
    assert str(error.value).startswith(f"{file}: ")
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a: [", "line 1: "),
        ("name: x\nname: y\n", "line 2: found duplicate key"),
        ("", "input should be a valid dictionary"),
        ("- a\n", "input should be a valid dictionary"),
        ("\x00", "not YAML"),
    ],
)
def test_what_is_not_a_params_file(tmp_path: Path, content: str, message: str) -> None:
    file = tmp_path / "x.yaml"
    file.write_text(content)
    with pytest.raises(UserError) as error:
        params.load(file)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_words_of_yaml_are_words(project: Project) -> None:
    file = project.params()
    file.write_text(file.read_text() + "compute: {precision: no}\nseeds: [0, 1]\n")
    experiment = params.load(file)
    assert experiment.compute.precision == "no"
    assert experiment.seeds == (0, 1)


@pytest.mark.parametrize("file", PARAMS, ids=lambda path: path.name)
def test_every_params_file_of_the_project_is_valid(file: Path) -> None:
    if file.name == "methods.yaml":
        pytest.skip("reference values, not an experiment")
    assert params.load(file).name


def test_the_schema_is_current_and_describes_the_options() -> None:
    import json

    committed = PARAMS[0].parent / "schema.json"
    schema = params.json_schema()
    assert json.loads(committed.read_text()) == schema, (
        "run `uv run distillery schema > params/schema.json`"
    )
    crd = schema["properties"]["methods"]["properties"]["crd"]["then"]["properties"]["options"]
    assert crd["properties"]["negatives"]["default"] == 16384
    assert "resnet8x4" in schema["$defs"]["Teacher"]["properties"]["arch"]["enum"]

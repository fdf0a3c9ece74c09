"""What a params file expands to: further data sets, channels, lists of variants, protocols."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from project import Project

from distillery.core.errors import UserError
from distillery.planning.plan import Plan, Row
from distillery.runs import fingerprint
from distillery.runs.stages import module_of

DATASETS = {"small": {"source": "digits", "split": {"per_class": 4}, "training": {"epochs": 2}}}


def rows(planned: Plan, table: str) -> list[Row]:
    return [row for row in planned.rows if row.table == table]


def inputs_of(planned: Plan, row: Row, name: str) -> Any:
    run = planned.runs[row.run]
    return planned.runs[run.inputs[name]]


def test_students_are_taught_on_the_data_of_their_teacher(shared_project: Project) -> None:
    changes = {
        "datasets": DATASETS,
        "teachers": {"u": {"arch": "resnet8", "data": "small"}},
        "pairs": {"q": {"teacher": "u", "student": "resnet8"}},
        "methods": {"kd": {}},
    }
    planned = shared_project.plan(changes, "two-data-sets")
    settings = {
        row.pair: (
            inputs_of(planned, row, "split").settings["per_class"],
            planned.runs[row.run].settings["training"]["epochs"],
            planned.runs[row.run].settings["augmentation"]["pad"],
        )
        for row in rows(planned, "main")
        if row.method == "kd"
    }
    # What the data set does not say is the schema's default, not that of the other data set.
    assert settings == {"p": (8, 3, 1), "q": (4, 2, 4)}
    labels = {name: pair["teacher_arch"] for name, pair in planned.report["pairs"].items()}
    assert labels == {"p": "digits: resnet8", "q": "small: resnet8"}


def test_a_list_of_variants_is_run_as_it_is(shared_project: Project) -> None:
    vary = [
        {"training": {"batch_size": 16, "lr": 0.02}},
        {"training": {"batch_size": 32, "lr": 0.04}, "weights": {"kd": 1}},
    ]
    changes = {
        "methods": {"infonce": {}},
        "ablations": {"batch": {"pair": "p", "method": ["ce", "infonce"], "vary": vary}},
    }
    planned = shared_project.plan(changes, "listed")
    found = [(row.method, dict(row.variant)) for row in rows(planned, "batch")]
    first = {"training.batch_size": 16, "training.lr": 0.02}
    second = {"training.batch_size": 32, "training.lr": 0.04, "weights.kd": 1}
    assert found == [
        (name, {"method": name, **variant})
        for name in ("ce", "infonce")
        for variant in (first, second)
    ]
    assert planned.report["ablations"]["batch"]["axes"] == [
        "method",
        "training.batch_size",
        "training.lr",
        "weights.kd",
    ]
    trained = planned.runs[rows(planned, "batch")[-1].run].settings
    assert (trained["training"]["lr"], trained["kd_temperature"]) == (0.04, 4.0)


def test_methods_are_compared_for_the_pairs_that_they_name(shared_project: Project) -> None:
    changes = {
        "pairs": {"q": {"teacher": "t", "student": "resnet14", "without": ["kd"]}},
        "methods": {
            "kd": {},
            "crd": {"pairs": ["q"]},
            "infonce": {"pairs": [], "weights": {"ce": 0}},
        },
        "ablations": {"a": {"pair": "p", "method": "infonce", "vary": {"weights": {"ce": [0, 1]}}}},
    }
    planned = shared_project.plan(changes, "compared")
    found = [(row.pair, row.method) for row in rows(planned, "main")]
    assert found == [("p", "ce"), ("p", "kd"), ("q", "ce"), ("q", "crd")]
    assert [row.method for row in rows(planned, "a")] == ["infonce", "infonce"]


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ({"method": "ce"}, True),
        ({"method": "infonce"}, True),
        ({"method": "infonce", "weights": {"ce": 0}}, False),
        ({"method": "infonce", "weights": {"ce": 0, "kd": 0.5}}, True),
        ({"method": "kd", "weights": {"ce": 0}}, True),
        ({"method": "dkd", "weights": {"ce": 0}}, True),
        ({"method": "dkd", "weights": {"ce": 0, "method": 0}}, False),
        ({"method": "at", "weights": {"ce": 0}}, False),
    ],
)
def test_it_is_known_whether_training_reaches_the_classifier(
    shared_project: Project, entry: dict[str, Any], expected: bool
) -> None:
    planned = shared_project.plan({"!methods": {"entry": entry}}, "classifier")
    assert [row.classifies for row in rows(planned, "main")] == [expected]
    assert all(row.classifies for row in rows(planned, "teachers"))


def test_a_variant_can_change_the_students_split_alone(shared_project: Project) -> None:
    ablation = {"pair": "p", "method": "ce", "vary": {"split": {"per_class": [4, 8]}}}
    planned = shared_project.plan({"ablations": {"images": ablation}}, "split-axis")
    few, same = rows(planned, "images")
    assert inputs_of(planned, few, "split").settings["per_class"] == 4
    assert same.run == rows(planned, "main")[0].run
    assert few.teacher == same.teacher


def test_protocols_are_run_where_they_are_asked_for(shared_project: Project) -> None:
    changes = {
        "seeds": [0, 1],
        "methods": {"kd": {}},
        "ablations": {
            "plain": {"pair": "p", "method": "kd", "vary": {"kd_temperature": [1.0]}},
            "measured": {
                "pair": "p",
                "method": "kd",
                "vary": {"kd_temperature": [2.0]},
                "protocols": ["calibration"],
            },
        },
        "!protocols": {
            "classification": {},
            "calibration": {
                "protocol": "classification",
                "options": {"calibration_bins": 5},
                "methods": ["kd"],
                "seeds": [1],
            },
        },
    }
    planned = shared_project.plan(changes, "protocols")
    found = {
        (row.table, row.method, row.seed): sorted(row.evaluations, reverse=True)
        for row in planned.rows
        if row.table != "teachers"
    }
    assert found == {
        ("main", "ce", 0): ["classification"],
        ("main", "ce", 1): ["classification"],
        ("main", "kd", 0): ["classification"],
        ("main", "kd", 1): ["classification", "calibration"],
        ("plain", "kd", 0): [],
        ("plain", "kd", 1): [],
        ("measured", "kd", 0): ["calibration"],
        ("measured", "kd", 1): ["calibration"],
    }
    (teacher,) = rows(planned, "teachers")
    assert sorted(teacher.evaluations) == ["calibration", "classification"]
    options = planned.runs[teacher.evaluations["calibration"]].settings["options"]
    assert options == {"calibration_bins": 5}


def test_entries_of_one_protocol_share_their_runs(shared_project: Project) -> None:
    changes = {
        "!protocols": {
            "classification": {},
            "again": {"protocol": "classification"},
            "other": {"protocol": "classification", "options": {"calibration_bins": 5}},
        }
    }
    planned = shared_project.plan(changes, "entries")
    for row in planned.rows:
        assert row.evaluations["again"] == row.evaluations["classification"]
        assert row.evaluations["other"] != row.evaluations["classification"]


def test_no_pairs_leave_a_protocol_to_ablations(shared_project: Project) -> None:
    changes = {
        "methods": {"kd": {}},
        "ablations": {
            "a": {
                "pair": "p",
                "method": "kd",
                "vary": {"kd_temperature": [1.0]},
                "protocols": ["classification"],
            }
        },
        "!protocols": {"classification": {"pairs": []}, "few-shot": {"methods": []}},
    }
    planned = shared_project.plan(changes, "no-pairs")
    found = {row.table: list(row.evaluations) for row in planned.rows}
    assert found == {"teachers": [], "main": [], "a": ["classification"]}


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ({"method": "kd", "options": {"temperature": 2}}, 2),
        ({"method": "kd", "kd_temperature": 3}, 4),
        ({"method": "dkd", "weights": {"kd": 1}}, 4),
        ({"method": "crd", "options": {"negatives": 8}, "weights": {"kd": 1}}, 4),
        ({"method": "crd", "options": {"negatives": 8}, "kd_temperature": 3}, 3),
    ],
)
def test_joint_teachers_are_averaged_at_the_temperature_of_the_loss(
    shared_project: Project, entry: dict[str, Any], expected: float
) -> None:
    changes = {
        "teachers": {"u": {"arch": "resnet8", "seed": 1}},
        "!pairs": {"p": {"teacher": ["t", "u"], "student": "resnet8"}},
        "!methods": {"entry": {**entry, "ensemble": "joint"}},
    }
    planned = shared_project.plan(changes, "joint")
    (run,) = planned.stage("train-student")
    assert run.settings["joint_temperature"] == expected


def test_groups_of_options_are_merged(shared_project: Project) -> None:
    method = {"weights": {"kd": 1, "method": 2}}
    ablation = {"pair": "p", "method": "kd", "vary": {"weights": {"method": [3]}}}
    planned = shared_project.plan({"methods": {"kd": method}, "ablations": {"a": ablation}}, "deep")
    (row,) = rows(planned, "a")
    assert planned.runs[row.run].settings["weights"] == {"ce": 0.1, "kd": 1.0, "method": 3.0}


def test_networks_can_see_different_channels(shared_project: Project) -> None:
    changes = {
        "data": {"channels": 3},
        "!teachers": {"t": {"arch": "resnet8", "channels": [0]}},
        "!pairs": {"p": {"teacher": "t", "student": "resnet8", "channels": [1, 2]}},
        "methods": {"infonce": {"weights": {"ce": 0}, "options": {"dim": 8, "negatives": "all"}}},
    }
    planned = shared_project.plan(changes, "channels")
    run = next(planned.runs[row.run] for row in rows(planned, "main") if row.method == "infonce")
    trained = shared_project.make(planned, run)
    from safetensors.torch import load_file

    widths = {
        folder: load_file(path)["conv1.weight"].shape[1]
        for folder, path in {
            "student": trained.file("model.safetensors"),
            "teacher": shared_project.data / rows(planned, "teachers")[0].run / "model.safetensors",
        }.items()
    }
    assert widths == {"student": 2, "teacher": 1}


@pytest.mark.parametrize(
    "data",
    [
        {"channels": 3},
        # Grey images in colour, of which two channels are chrominance.
        {"colour": "lab"},
        # Nothing is known of these.
        {"source": "image-folder", "path": "x"},
    ],
)
def test_channels_that_may_be_there_are_not_refused(
    shared_project: Project, data: dict[str, Any]
) -> None:
    changes = {"data": data, "pairs": {"p": {"channels": [1, 2]}}}
    planned = shared_project.plan(changes, "channels-of-" + "-".join(data))
    (row,) = rows(planned, "main")
    assert tuple(planned.runs[row.run].settings["channels"]) == (1, 2)


def test_no_run_depends_on_the_grid(shared_project: Project) -> None:
    planned = shared_project.plan({"methods": {"kd": {}}}, "closure")
    stages = {module_of(run.stage, run.settings) for run in planned.runs.values()}
    reached = fingerprint.closure({*stages, "distillery.reporting.report"})
    assert not [name for name in reached if name.startswith("distillery.planning")]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"!teachers": {"t": {"arch": "resnet8", "channels": [0]}}, "methods": {"at": {}}},
            "pairs.p: 'at' runs the teacher live, which then has to see the student's channels",
        ),
        (
            {"teachers": {"t": {"channels": [0, 1]}}},
            "teachers.t.channels: found 1; images of 'digits' have 1 channel(s) (allowed: 0)",
        ),
        (
            {"data": {"channels": 1}, "pairs": {"p": {"channels": [1, 0, 2]}}},
            "pairs.p.channels: found 1, 2; images of 'digits' have 1 channel(s) (allowed: 0)",
        ),
        (
            # The images are those of the pair's teacher, not the experiment's.
            {
                "data": {"channels": 3},
                "datasets": DATASETS,
                "teachers": {"u": {"arch": "resnet8", "data": "small"}},
                "pairs": {
                    "p": {"channels": [2]},
                    "q": {"teacher": "u", "student": "resnet8", "channels": [2]},
                },
            },
            "pairs.q.channels: found 2; images of 'small' have 1 channel(s) (allowed: 0)",
        ),
        (
            # The side of the images is not known before they are read.
            {
                "datasets": {"grey": {"source": "image-folder", "path": "x", "channels": 1}},
                "teachers": {"u": {"arch": "resnet8", "data": "grey", "channels": [2]}},
            },
            "teachers.u.channels: found 2; images of 'grey' have 1 channel(s) (allowed: 0)",
        ),
        (
            {"teachers": {"t": {"data": "smalll"}}, "datasets": DATASETS},
            "teachers.t.data: unknown data set 'smalll'; did you mean 'small'?",
        ),
        (
            {"ablations": {"a": {"pair": "p", "method": "ce"}}},
            "ablations.a.vary: nothing is varied",
        ),
        (
            {"ablations": {"a": {"pair": ["p", "pp"], "method": "ce"}}},
            "ablations.a.pair: unknown pair 'pp'",
        ),
        (
            {"ablations": {"a": {"pair": "p", "method": "ce", "vary": [{"training": {"lr": -1}}]}}},
            "ablations.a.vary[0].training.lr: found -1",
        ),
        (
            {
                "ablations": {
                    "classification": {"pair": "p", "method": "ce", "vary": {"seeds": [1]}}
                }
            },
            "ablations.classification: this id names another part of the report",
        ),
        (
            {"!protocols": {"classification": {"methods": ["kd"]}}},
            "protocols.classification.methods: unknown method entry 'kd'",
        ),
        (
            {"protocols": {"few-shot": {"options": {"fractions": [0.05, 1]}}}},
            "protocols.few-shot.vary.split: a fraction of 0.05 of per_class 8 leaves no image",
        ),
        (
            {
                "!data": {"source": "digits"},
                "protocols": {"few-shot": {"options": {"fractions": [0.005, 1]}}},
            },
            "protocols.few-shot.vary.split: a fraction of 0.005 leaves a class empty: the smallest "
            "class has 116 training images",
        ),
        (
            {"teachers": {"t": {"split": {"per_class": 117}}}},
            "teachers.t.split: 117 images of each class wanted, but the smallest class has 116",
        ),
        (
            {
                "datasets": {"colours": {"source": "shapes", "channels": 3, "colour": "lab"}},
                "data": {"channels": 3},
                "protocols": {"transfer": {"options": {"data": "colours"}}},
            },
            "protocols.transfer.options.data: its `colour` is lab, but the networks learn from rgb",
        ),
        (
            {
                "datasets": {"grey": {"source": "shapes"}},
                "data": {"channels": 3},
                "pairs": {"p": {"channels": [1]}},
                "protocols": {"transfer": {"options": {"data": "grey"}}},
            },
            "protocols.transfer: options.data: images of 'grey' have 1 channel(s), those that the "
            "network is trained on have 3",
        ),
        (
            {"protocols": {"main": {"protocol": "few-shot"}}},
            "protocols.main: this id names another part of the report",
        ),
        (
            {"methods": {"afd": {}}, "protocols": {"attention": {"protocol": "attention-maps"}}},
            "protocols.attention: this id names another part of the report",
        ),
        (
            {
                "teachers": {"u": {"arch": "resnet8x4"}},
                "pairs": {"q": {"teacher": "u", "student": "resnet8"}},
                "protocols": {"tsne": {"options": {"joint": True}}},
            },
            "protocols.tsne: options.joint needs features of one dimension, but the network has 64 "
            "and its teacher 256",
        ),
        (
            {
                "teachers": {"u": {"arch": "resnet8", "seed": 1}},
                "!pairs": {"p": {"teacher": ["t", "u"], "student": "resnet8"}},
                "methods": {
                    "dkd": {
                        "ensemble": "joint",
                        "weights": {"kd": 1},
                        "options": {"temperature": 2},
                    }
                },
            },
            "pairs.p: the teachers' joint probabilities are those at one temperature, but that of "
            "'dkd' is 2 and kd_temperature 4",
        ),
        (
            {"teachers": {"t": {"channels": [0, 0]}}},
            "teachers.t.channels: found [0, 0]; they must differ",
        ),
        (
            {"methods": {"kd": {"pairs": ["q"]}}},
            "methods.kd.pairs: unknown pair 'q' (allowed: p)",
        ),
        (
            {"!methods": {"kd": {"pairs": []}}},
            "pairs: no method entry is run for any pair",
        ),
        (
            {"pairs": {"p": {"only": []}}},
            "pairs: no method entry is run for any pair",
        ),
        (
            {"training": {"instances": 3}},
            "training: batch_size (32) must be a multiple of instances (3)",
        ),
    ],
)
def test_what_cannot_be_run_is_refused_in_one_line(
    project: Project, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(UserError, match=re.escape(message)) as error:
        project.plan(changes)
    assert "\n" not in str(error.value)


def test_the_report_names_what_a_variant_is_made_of(shared_project: Project) -> None:
    planned = shared_project.plan({}, "plain-report")
    assert json.loads(json.dumps(planned.report))["sections"] == {}

import json

import pytest
from project import Project
from pydantic import ValidationError

from distillery.core.errors import UserError
from distillery.evaluation.few_shot import FewShot


@pytest.mark.parametrize(
    ("fractions", "problem"),
    [
        ((0.5, 0.5), "named twice"),
        ((0.0,), "greater than 0"),
        ((1.5,), "less than"),
        ((), "1 item"),
    ],
)
def test_senseless_fractions_are_refused(fractions: tuple[float, ...], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        FewShot.Options(fractions=fractions)


def test_every_method_learns_from_the_same_part_and_the_same_teacher(project: Project) -> None:
    planned = project.plan(
        {
            "data": {"!split": {"seed": 3}},
            "methods": {"ce": {}, "kd": {}},
            "seeds": [0, 1],
            "protocols": {"few-shot": {"options": {"fractions": [0.5, 1]}}},
        }
    )
    rows = [row for row in planned.rows if row.table == "few-shot"]
    splits: dict[float, set[str]] = {}
    for row in rows:
        run = planned.runs[row.run]
        splits.setdefault(row.variant["split.fraction"], set()).add(run.inputs["split"])
    assert {fraction: len(names) for fraction, names in splits.items()} == {0.5: 1, 1.0: 1}
    (half,) = splits[0.5]
    assert planned.runs[half].settings["fraction"] == 0.5
    assert planned.runs[half].settings["seed"] == 3
    assert len(rows) == 2 * 2 * 2
    assert len({row.teacher for row in planned.rows if row.table != "teachers"}) == 1
    main = {row.run for row in planned.rows if row.table == "main"}
    assert {row.run for row in rows if row.variant["split.fraction"] == 1} == main


def test_fractions_are_those_of_a_part_by_number(project: Project) -> None:
    fractions = (0.25, 1.0)
    planned = project.plan({"protocols": {"few-shot": {"options": {"fractions": fractions}}}})
    rows = [row for row in planned.rows if row.table == "few-shot"]
    splits = [planned.runs[planned.runs[row.run].inputs["split"]].settings for row in rows]
    assert [(split["per_class"], split["fraction"]) for split in splits] == [
        (8, fraction) for fraction in fractions
    ]


def test_a_fraction_that_leaves_no_image_is_refused_in_one_line(project: Project) -> None:
    with pytest.raises(UserError, match="per_class 8 leaves no image") as refused:
        project.plan({"protocols": {"few-shot": {"options": {"fractions": [0.05]}}}})
    assert "\n" not in str(refused.value)


def test_the_variant_names_the_fraction_for_the_report(project: Project) -> None:
    fractions = (0.1, 0.75)
    study = {"few-shot": {"options": {"fractions": fractions}}}
    planned = project.plan({"data": {"!split": {}}, "protocols": study})
    shown = planned.report.sections["few-shot"]
    assert shown.module == "few-shot"
    rows = [row for row in planned.rows if row.table == "few-shot"]
    assert [json.dumps(dict(row.variant)) for row in rows] == [
        f'{{"split.fraction": {fraction}}}' for fraction in fractions
    ]

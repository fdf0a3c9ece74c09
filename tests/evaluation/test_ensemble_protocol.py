import pytest
from project import Project
from pydantic import ValidationError

from distillery.evaluation import ensemble, registry
from distillery.evaluation.ensemble import Options

TEACHERS = {f"t{number}": {"arch": "resnet8", "seed": number} for number in range(4)}


def test_the_default_varies_up_to_six_teachers() -> None:
    assert ensemble.vary(Options()) == {"teachers": [1, 2, 4, 6]}
    assert registry.is_study(ensemble)


@pytest.mark.parametrize(
    ("teachers", "problem"), [((2, 2), "named twice"), ((0,), "greater than"), ((), "1 item")]
)
def test_senseless_numbers_are_refused(teachers: tuple[int, ...], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        Options(teachers=teachers)


def test_students_learn_from_the_first_so_many_teachers(project: Project) -> None:
    planned = project.plan(
        {
            "!teachers": TEACHERS,
            "!pairs": {"p": {"teacher": [*TEACHERS], "student": "resnet8"}},
            "methods": {"ce": {}, "kd": {}},
            "protocols": {"ensemble": {"options": {"teachers": [1, 2, 4]}}},
        }
    )
    rows = [row for row in planned.rows if row.table == "ensemble"]
    runs: dict[str, list[str]] = {}
    for row in rows:
        runs.setdefault(row.method, []).append(row.run)
    assert [row.variant["teachers"] for row in rows if row.method == "kd"] == [1, 2, 4]
    assert len(set(runs["ce"])) == 1
    assert len(set(runs["kd"])) == 3
    main = next(row for row in planned.rows if row.table == "main" and row.method == "kd")
    assert runs["kd"][-1] == main.run

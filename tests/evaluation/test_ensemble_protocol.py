import pytest
from project import Project
from pydantic import ValidationError

from distillery.core.errors import UserError
from distillery.evaluation.ensemble import EnsembleSize

TEACHERS = {f"t{number}": {"arch": "resnet8", "seed": number} for number in range(4)}


@pytest.mark.parametrize(
    ("teachers", "problem"), [((2, 2), "named twice"), ((0,), "greater than"), ((), "1 item")]
)
def test_senseless_numbers_are_refused(teachers: tuple[int, ...], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        EnsembleSize.Options(teachers=teachers)


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


def test_a_pair_without_so_many_teachers_is_refused(project: Project) -> None:
    with pytest.raises(UserError, match=r"found 5; pair 'p' has 4 \(allowed: 1 to 4\)$"):
        project.plan(
            {
                "!teachers": TEACHERS,
                "!pairs": {"p": {"teacher": [*TEACHERS], "student": "resnet8"}},
                "protocols": {"ensemble": {"options": {"teachers": [1, 5]}}},
            }
        )

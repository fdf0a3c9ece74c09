"""Teachers with little to teach are named."""

from __future__ import annotations

from pathlib import Path

from made_up_results import Study

from distillery.reporting.results.collected import Results
from distillery.reporting.results.doubts import doubts


def found(study: Study, folder: Path) -> list[str]:
    return doubts(Results.read(study.settings, study.publish(folder)))


def test_good_teachers_are_not_doubted(study: Study, tmp_path: Path) -> None:
    for row in study.rows:
        row["chance_top1"] = 10.0
    assert found(study, tmp_path) == []


def test_teachers_at_chance_or_below_their_student_are_named(study: Study, tmp_path: Path) -> None:
    first, second = (row for row in study.rows if row["table"] == "teachers")
    first.update(test_top1=10.0, chance_top1=10.0)
    second.update(test_top1=50.0, chance_top1=10.0)
    said = found(study, tmp_path)
    assert [each.split(", ")[1] for each in said] == [
        first["key"],
        first["key"],
        second["key"],
    ]
    assert "no better than chance: 10.00 %, and naming the most frequent class" in said[0]
    assert "is worse than its student resnet21 without a teacher: 50.00 % against" in said[2]

"""What differs between two reports, and what of it is noise."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from distillery.core.errors import UserError
from distillery.reporting.changes import comparing, sides, text
from distillery.reporting.changes.comparing import Change, changes, metrics_of

ACCURACIES = {"ce": [70.0, 71.0, 72.0], "kd": [73.0, 74.0, 75.0]}


def runs(accuracies: dict[str, list[float]], **columns: Any) -> pd.DataFrame:
    rows = [
        {
            "table": "main",
            "pair": "p",
            "method": method,
            "title": method.upper(),
            "variant": "{}",
            "seed": seed,
            "test_top1": value,
            **columns,
        }
        for method, values in accuracies.items()
        for seed, value in enumerate(values)
    ]
    return pd.DataFrame(rows)


def compared(before: dict[str, list[float]], after: dict[str, list[float]]) -> dict[str, Change]:
    found = changes(runs(before), runs(after), [comparing.ACCURACY])
    return {change.method: change for change in found}


def test_equal_reports_have_no_changes() -> None:
    found = compared(ACCURACIES, ACCURACIES)
    assert {change.verdict for change in found.values()} == {"same"}
    assert text.text([*found.values()]) == "2 same."


def test_what_moves_alike_in_all_seeds_moved_and_what_scatters_is_noise() -> None:
    after = {"ce": [75.0, 76.1, 76.9], "kd": [74.0, 73.5, 74.8]}
    found = compared(ACCURACIES, after)
    assert found["ce"].verdict == "moved"
    assert found["ce"].difference == pytest.approx(5)
    assert found["ce"].low < 5 < found["ce"].high
    assert found["kd"].verdict == "within noise"
    # Holm's correction over both rows.
    alone = compared({"ce": ACCURACIES["ce"]}, {"ce": after["ce"]})["ce"]
    assert found["ce"].p == pytest.approx(2 * alone.p)


@pytest.mark.parametrize("after", [[71.0, 72.0, 73.0], [70.0, 73.0]])
def test_without_noise_or_seeds_nothing_is_tested(after: list[float]) -> None:
    assert compared(ACCURACIES, {**ACCURACIES, "ce": after})["ce"].verdict == "not testable"


def test_rows_of_one_side_are_new_or_gone() -> None:
    found = compared({"ce": ACCURACIES["ce"]}, {"kd": ACCURACIES["kd"]})
    assert {name: change.verdict for name, change in found.items()} == {"kd": "new", "ce": "gone"}
    assert {change.seeds for change in found.values()} == {0}


def test_protocols_are_compared_beside_accuracy() -> None:
    before, after = (runs(ACCURACIES, **{"classification/nll": nll}) for nll in (1.0, 2.0))
    metrics = metrics_of(before, after)
    assert metrics == ["test_top1", "classification/nll"]
    verdicts = [change.verdict for change in changes(before, after, metrics)]
    assert verdicts == ["same", "same", "not testable", "not testable"]


def test_markdown_and_json_say_the_same() -> None:
    found = [*compared(ACCURACIES, {"ce": [75.0, 76.1, 76.9], "kd": ACCURACIES["kd"]}).values()]
    shown = text.markdown(found, "main", "mine")
    assert shown.startswith("**1 same, 1 moved.** From `main` to `mine`.")
    assert "| main | p CE | test_top1 | 71.00 | 76.00 | +5.00 |" in shown
    said = json.loads(text.as_json(found))["changes"]
    assert [change["verdict"] for change in said] == ["moved", "same"]


def test_a_side_is_a_folder_or_a_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = tmp_path / "reports" / "tables" / "runs.csv"
    table.parent.mkdir(parents=True)
    runs(ACCURACIES).to_csv(table, index=False)
    monkeypatch.chdir(tmp_path)
    for command in (
        ["init", "-q"],
        ["add", "."],
        ["-c", "user.name=A", "-c", "user.email=a@b", "commit", "-qm", "x"],
    ):
        subprocess.run(["git", *command], check=True)
    runs({"ce": [1.0, 2.0, 3.0]}).to_csv(table, index=False)
    assert len(sides.read("HEAD:reports")) == 6
    assert len(sides.read("reports")) == 3


def test_ids_of_digits_stay_as_they_are_beside_teachers_without_any(tmp_path: Path) -> None:
    teacher = runs({"": [80.0]}, table="teachers", pair="", title="T")
    (tmp_path / "tables").mkdir()
    written = pd.concat([teacher, runs(ACCURACIES, pair="8")])
    written.to_csv(tmp_path / "tables" / "runs.csv", index=False)
    side = sides.read(str(tmp_path))
    found = changes(side, side, [comparing.ACCURACY])
    assert [change.pair for change in found] == ["", "8", "8"]


@pytest.mark.parametrize(
    ("side", "said"),
    [
        (".", "no report, it has no tables/runs.csv"),
        ("nowhere", "neither the folder of a report"),
        ("nothing:reports", "nothing:reports: "),
    ],
)
def test_what_is_no_report_costs_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, side: str, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=said) as error:
        sides.read(side)
    assert "\n" not in str(error.value)

"""`distillery compare-reports`, on the committed report."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
from typer.testing import CliRunner

from distillery.cli import app

ROOT = Path(__file__).parents[3]


def call(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["compare-reports", *arguments])
    return done.exit_code, done.stdout


def test_a_report_is_the_same_as_itself() -> None:
    status, out = call(str(ROOT / "reports"), str(ROOT / "reports"), "--fail-on-moved")
    assert status == 0
    assert out.rstrip().endswith(" same.")


def test_what_has_moved_ends_with_status_1(tmp_path: Path) -> None:
    table = tmp_path / "tables" / "runs.csv"
    table.parent.mkdir()
    runs = pd.read_csv(ROOT / "reports" / "tables" / "runs.csv")
    is_kd = (runs["table"] == "main") & (runs["method"] == "kd")
    runs.loc[is_kd, "test_top1"] += 10 + runs.loc[is_kd, "seed"] / 100
    runs.to_csv(table, index=False)
    arguments = (str(ROOT / "reports"), str(tmp_path), "--accuracy")
    assert call(*arguments, "--fail-on-moved")[0] == 1
    status, out = call(*arguments, "--json")
    assert status == 0
    moved = [each for each in json.loads(out)["changes"] if each["verdict"] == "moved"]
    assert {each["method"] for each in moved} == {"kd"}
    assert all(10 < each["difference"] < 10.1 for each in moved)


def test_a_params_file_stands_for_its_report(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["compare-reports", str(ROOT / "params/digits.yaml"), "nowhere"])
    assert done.exit_code == 1
    assert "nowhere: neither the folder of a report" in str(done.exception)

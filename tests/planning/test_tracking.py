"""The stages that DVC tracks, of one experiment or several."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from project import Project
from ruamel.yaml import YAML

from distillery.core.errors import UserError
from distillery.planning.tracking import pipeline

ROOT = Path(__file__).parents[2]
MINE, DEFAULT = Path("params/my own.yaml"), Path("params/digits.yaml")


@pytest.fixture(scope="module")
def stages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The file of two experiments, of which one keeps its report in Git."""
    project = Project(tmp_path_factory.mktemp("tracking"))
    plans = {
        DEFAULT: project.plan({"report": {"folder": "reports"}}),
        MINE: project.plan({"name": "mine"}),
    }
    read: dict[str, Any] = YAML(typ="safe").load(pipeline(plans))
    return read


def test_runs_of_all_experiments_are_made_in_the_folders_that_they_share(
    stages: dict[str, Any],
) -> None:
    students = stages["stages"]["students"]
    assert students["cmd"] == [
        "snakemake --cores all --configfile params/digits.yaml -- students",
        "snakemake --cores all --configfile 'params/my own.yaml' -- students",
    ]
    assert students["params"] == [{str(DEFAULT): None}, {str(MINE): None}]
    assert students["outs"] == [{"data/students": {"persist": True}}]
    assert students["deps"][-3:] == ["data/prepared", "data/teachers", "data/embeddings"]


def test_an_own_report_is_stored_by_dvc_and_the_default_one_by_git(stages: dict[str, Any]) -> None:
    kept = {
        name: out
        for stage in ("reports", "reports-mine")
        for each in stages["stages"][stage]["outs"]
        for name, out in each.items()
    }
    assert kept["reports/metrics.json"] == {"cache": False, "persist": True}
    assert kept["reports/mine/metrics.json"] == {"persist": True}
    assert set(kept) == {
        f"{folder}/{part}"
        for folder in ("reports", "reports/mine")
        for part in (
            *("index.html", "metrics.json", "findings.md", "plots.html"),
            *("tables", "figures"),
        )
    }
    assert stages["metrics"] == ["reports/metrics.json", "reports/mine/metrics.json"]
    assert "reports/mine/figures/accuracy.png" in stages["plots"]


def test_two_reports_in_one_folder_are_refused(project: Project) -> None:
    plan = project.plan()
    with pytest.raises(UserError, match=r"params/my own.yaml: its report goes into reports/tiny"):
        pipeline({DEFAULT: plan, MINE: plan})


def test_the_committed_file_is_the_one_that_the_command_in_its_head_writes(
    project: Project,
) -> None:
    plan = project.plan({"report": {"folder": "reports"}})
    assert (ROOT / "dvc.yaml").read_text() == pipeline({DEFAULT: plan})

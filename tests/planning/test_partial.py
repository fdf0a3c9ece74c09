"""The report of an experiment of which a part is missing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from project import Project

from distillery.core.errors import UserError
from distillery.planning.partial import partial_plan
from distillery.planning.plan import Plan
from distillery.runs.produce import Workspace, produce
from distillery.runs.run import Run

CHANGES: dict[str, Any] = {
    "training": {"epochs": 1},
    "methods": {"kd": {}, "crd": {"options": {"negatives": 16}}, "at": {}},
    "ablations": {
        "warm": {"pair": "p", "method": "kd", "vary": {"options": {"temperature": [1, 2]}}},
        "cold": {"pair": "p", "method": "crd", "vary": {"options": {"temperature": [0.1]}}},
    },
    "report": {"claims": [{"better": "kd", "worse": "ce"}, {"better": "crd", "worse": "ce"}]},
}
Without = Callable[[Callable[[Run], bool]], Plan]


@pytest.fixture
def without(project: Project, monkeypatch: pytest.MonkeyPatch) -> Without:
    """Return the partial plan of a project in which some runs, and what needs them, are missing."""
    planned = project.plan(CHANGES)

    def partial(is_missing: Callable[[Run], bool]) -> Plan:
        gone: list[Run] = []
        for run in planned.runs.values():
            reads = {one.location for one in gone} & {*run.inputs.values()}
            if is_missing(run) or reads:
                gone.append(run)
        monkeypatch.setattr(Plan, "pending", lambda *_: gone)
        params = project.folder / "tiny.yaml"
        return partial_plan(params, planned, project.data)

    return partial


def is_of(method: str) -> Callable[[Run], bool]:
    return lambda run: run.stage == "train-student" and run.settings["method"] == method


def test_a_method_that_failed_is_left_out_with_its_reason(
    without: Without, project: Project
) -> None:
    planned = project.plan(CHANGES)
    (at,) = [run for run in planned.stage("train-student") if is_of("at")(run)]

    def fail(work: Workspace) -> None:
        raise UserError("the loss is not finite; lower training.lr")

    with pytest.raises(UserError, match="not finite"):
        produce(project.data, replace(at, inputs={}), fail)
    found = without(is_of("at"))
    assert found.report.gaps == ("at of p: the loss is not finite; lower training.lr",)
    rows = {(row.table, row.method) for row in found.rows}
    assert rows == {
        ("teachers", ""),
        ("main", "ce"),
        ("main", "kd"),
        ("main", "crd"),
        ("warm", "kd"),
        ("cold", "crd"),
    }
    assert found.runs.keys() - {found.collected} < planned.runs.keys()
    assert found.report_key != planned.report_key


def test_ablations_and_claims_go_with_their_method(without: Without) -> None:
    found = without(is_of("crd"))
    assert found.report.gaps == ("crd of p: not computed yet", "cold: not computed yet")
    assert [claim.better for claim in found.report.claims] == ["kd"]
    assert [*found.report.ablations] == ["warm"]


def test_a_protocol_that_failed_is_left_out(without: Without) -> None:
    found = without(lambda run: run.stage == "evaluate" and "-kd-" in run.slug)
    assert found.report.gaps == ("protocol classification: not computed yet",)
    assert {row.method for row in found.rows if row.table == "main"} == {"ce", "kd", "crd", "at"}
    assert not any(row.evaluations for row in found.rows)


def test_without_a_network_there_is_no_report(without: Without) -> None:
    with pytest.raises(UserError, match="this run has not been made; run snakemake to make it"):
        without(lambda run: run.stage == "train-teacher")


def test_the_page_names_what_is_missing(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from distillery.reporting.page import publish
    from distillery.runs.stages import execute

    changes = {"training": {"epochs": 1}, "methods": {"kd": {}, "at": {}}}
    changes["report"] = {"folder": "reports/cut"}
    monkeypatch.chdir(project.folder)
    planned = project.plan(changes)
    for run in planned.runs.values():
        if run.stage != "collect" and "-at-" not in run.slug:
            project.make(planned, run)
    params = project.folder / "tiny.yaml"
    found = partial_plan(params, planned, project.data)
    execute(project.data, found.runs[found.collected])
    page = publish.publish(found.report, found.report_key, found.collected, project.data)
    text = page.read_text()
    assert "<strong>Missing:</strong> at of p: not computed yet" in text
    assert text.index("Missing:") < text.index('id="results"')

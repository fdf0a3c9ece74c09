"""What every protocol and every study keeps to, whichever there are."""

from __future__ import annotations

import math
import shutil
from pathlib import Path

import pytest
from project import Project

from distillery.evaluation import evaluate, registry
from distillery.evaluation.base import METRICS, Protocol
from distillery.planning.plan import Plan
from distillery.runs import fingerprint, stages
from distillery.runs.artifact import Artifact
from distillery.runs.run import Run

DOCS = Path(__file__).parents[2] / "docs" / "evaluation"
PROTOCOLS = [name for name in registry.names() if issubclass(registry.load(name), Protocol)]
# A student that learns from a cache, and one that runs its teacher live.
METHODS = ("kd", "fitnet")
QUICK = {"warmup": 1, "repeats": 2}


@pytest.mark.parametrize("name", registry.names())
def test_it_has_a_title_options_with_defaults_and_a_page(name: str) -> None:
    kind = registry.load(name)
    assert kind.title
    assert not kind.configured({}).options.model_fields_set
    assert all(field.description for field in kind.Options.model_fields.values())
    page = (DOCS / f"{name}.md").read_text(encoding="utf-8")
    assert all(
        f"`{option}`" in page or f"{option}:" in page for option in kind.Options.model_fields
    )
    assert f"[`{name}`]({name}.md)" in (DOCS / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", registry.names())
def test_the_stage_leaves_the_code_of_protocols_to_their_runs(name: str) -> None:
    assert registry.module_of(name) not in fingerprint.closure([evaluate.__name__])


@pytest.fixture(scope="module")
def planned(shared_project: Project) -> Plan:
    """A plan in which every protocol measures students, briefly."""
    protocols = {
        name: {
            "options": {
                option: value
                for option, value in QUICK.items()
                if option in registry.load(name).Options.model_fields
            }
        }
        for name in PROTOCOLS
    }
    changes = {
        "!methods": {name: {} for name in METHODS},
        "training": {"epochs": 1},
        "!protocols": protocols,
    }
    return shared_project.plan(changes, "every-protocol")


def evaluation(planned: Plan, method: str, protocol: str) -> Run:
    row = next(row for row in planned.rows if row.method == method)
    return planned.runs[row.evaluations[protocol]]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", PROTOCOLS)
def test_it_runs_with_nothing_but_its_declared_inputs(
    shared_project: Project, planned: Plan, tmp_path: Path, name: str, method: str
) -> None:
    run = evaluation(planned, method, name)
    for location in run.inputs.values():
        shared_project.make(planned, planned.runs[location])
        shutil.copytree(shared_project.data / location, tmp_path / location, dirs_exist_ok=True)
    metrics = Artifact(stages.execute(tmp_path, run)).json(METRICS)
    assert metrics
    assert all(type(value) in (int, float) and math.isfinite(value) for value in metrics.values())


def test_the_code_of_a_method_belongs_to_the_protocols_that_run_it(planned: Plan) -> None:
    for name in PROTOCOLS:
        kd, fitnet = (evaluation(planned, method, name).code for method in METHODS)
        kind = registry.load(name)
        assert issubclass(kind, Protocol)
        assert (kd != fitnet) == kind.uses_method


def test_each_protocol_has_a_fingerprint_of_its_own(planned: Plan) -> None:
    codes = {evaluation(planned, "kd", name).code for name in PROTOCOLS}
    assert len(codes) == len(PROTOCOLS)

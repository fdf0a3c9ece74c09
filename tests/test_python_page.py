"""Follows docs/python.md to the letter, beside an experiment with the names of its page."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from documented import Page
from project import Project

import distillery
from distillery.core.errors import UserError
from distillery.runs.artifact import Artifact, Finished

CHANGES = {
    "name": "digits",
    "!teachers": {"resnet20": {"arch": "resnet8"}},
    "!pairs": {"resnet20-resnet8": {"teacher": "resnet20", "student": "resnet8"}},
    "!methods": {"ce": {}, "kd": {}},
    "seeds": [0, 1],
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """An experiment as on the page, of which one student is not made yet."""
    found = Project(tmp_path_factory.mktemp("page"))
    (found.folder / "params").mkdir()
    file = found.params(CHANGES, "digits").rename(found.folder / "params" / "digits.yaml")
    from distillery.planning import loading

    planned = loading.load(file, found.data)
    for row in planned.rows:
        if (row.method, row.seed) != ("ce", 1):
            for location in (row.run, *row.evaluations.values()):
                found.make(planned, planned.runs[location])
    return found


@pytest.fixture(scope="module")
def names(project: Project) -> dict[str, Any]:
    """What the blocks of the page leave behind."""
    blocks = re.findall(r"```python\n(.*?)```", Page("python.md").text, re.DOTALL)
    found: dict[str, Any] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(project.folder)
        for block in blocks:
            exec(compile(block, "python.md", "exec"), found)
        # Read from disk while the folder is the page's.
        found["run"].predictions  # noqa: B018
    return found


def test_what_is_computed_by_hand_is_what_the_run_says(names: dict[str, Any]) -> None:
    run = names["run"]
    assert repr(run) == f"<train-student {run.name}>"
    assert names["by_hand"] == pytest.approx(run.metrics["test_top1"])
    assert names["curve"].iloc[-1] == pytest.approx(run.metrics["test_top1"])
    assert len(names["curve"]) == run.settings["training"]["epochs"] == 3
    assert 0 < names["knn"] <= 1
    assert run.record["wall_seconds"] > 0


def test_the_network_is_shown_images(names: dict[str, Any]) -> None:
    assert names["probabilities"].shape == (1, 10)
    assert names["probabilities"].sum() == pytest.approx(1)
    assert names["probability"] == names["probabilities"].max()
    assert names["name"] == str(names["probabilities"].argmax())
    by_module = names["outputs"].logits.numpy().argmax()
    assert by_module == names["probabilities"].argmax()
    assert len(names["outputs"].features) > 1


def test_an_experiment_is_a_table_also_of_what_is_missing(
    project: Project, names: dict[str, Any]
) -> None:
    main = names["main"]
    assert main["method"].tolist() == ["ce", "ce", "kd", "kd"]
    missing = (main["method"] == "ce") & (main["seed"] == 1)
    assert main["test_top1"].isna().tolist() == missing.tolist()
    assert names["means"].loc[("resnet20-resnet8", "kd"), "count"] == 2
    kd = names["student"]
    assert (kd["training.lr"], kd["weights.kd"], kd["options.temperature"]) == (0.05, 0, 4)
    assert (kd["method"], kd["settings.method"]) == ("kd", "kd")
    assert kd["classification/top1"] == pytest.approx(kd["test_top1"])


def test_the_report_has_the_same_columns(project: Project, names: dict[str, Any]) -> None:
    from distillery.planning import loading
    from distillery.reporting.results.collected import Results
    from distillery.reporting.tables import standard

    planned = loading.load(project.folder / "params" / "digits.yaml", project.data)
    project.make_all(planned)
    collected = Artifact(Finished(project.data).path(planned.collected))
    told = standard.runs(Results.read(planned.report, collected)).data
    table = distillery.results(project.folder / "params" / "digits.yaml", project.data)
    hidden = {"seconds", "peak_memory_mb", "images_per_second", "device"}
    assert {*told.columns} == {*table.columns} - hidden - {"run"} | {"location"}
    assert told["training.lr"].tolist() == table["training.lr"].tolist()
    assert told["test_top1"].to_numpy() == pytest.approx(table["test_top1"].to_numpy())
    assert isinstance(table, pd.DataFrame)
    assert np.isfinite(table["test_top1"]).all()


def test_a_mistake_is_a_line(project: Project) -> None:
    with pytest.raises(UserError, match=r"'kd' may be any of \d runs: digits-resnet20"):
        distillery.open("kd", project.data)
    with pytest.raises(AttributeError, match="has no attribute 'opened'"):
        distillery.opened  # noqa: B018


def test_no_function_has_the_name_of_a_room() -> None:
    """The room would take its place as soon as it is imported."""
    folder = Path(distillery.__file__).parent
    for name in distillery.__all__:
        assert not (folder / name).exists()
        assert not (folder / f"{name}.py").exists()


def test_importing_it_is_cheap() -> None:
    script = (
        "import sys, distillery; known = {*sys.modules}; distillery.open; "
        "assert 'pydantic' not in known; "
        "assert not {'torch', 'pandas', 'matplotlib'} & {*sys.modules}"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_no_run_depends_on_the_library() -> None:
    """What is imported by the name of the package is no part of any run's code."""
    from distillery.runs.fingerprint import closure
    from distillery.runs.stages import STAGES

    for stage in STAGES.values():
        assert "distillery.library" not in closure([stage.module])
    assert Path(distillery.__file__).name == "__init__.py"

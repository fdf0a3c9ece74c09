"""Follows docs/adding-a-method.md to the letter, in a copy of the package."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from project import Project
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "adding-a-method.md").read_text(encoding="utf-8")
# Trains everything that a params file wants.
TRAIN = """
import sys
from pathlib import Path
import torch
from distillery.planning import plan
from distillery.runs import stages
torch.set_num_threads(1)
data = Path(sys.argv[2])
for run in plan.load(Path(sys.argv[1]), data).runs.values():
    stages.execute(data, run)
"""


def block(language: str) -> str:
    """Return the first code block of the page in a language."""
    found = re.search(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    assert found
    return found[1]


class Package:
    """A copy of the sources, used by subprocesses instead of the installed package."""

    def __init__(self, folder: Path) -> None:
        self.source = folder / "src"
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / "src", self.source, ignore=ignored)

    def run(self, *arguments: str, status: int = 0) -> str:
        """Run Python in the copy and return what it prints."""
        environment = {
            **os.environ,
            "PYTHONPATH": str(self.source),
            "PYTHONDONTWRITEBYTECODE": "1",
            "OMP_NUM_THREADS": "1",
        }
        done = subprocess.run(
            [sys.executable, *arguments],
            env=environment,
            cwd=self.source.parent,
            text=True,
            capture_output=True,
        )
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout + (done.stderr if status else "")


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Package:
    copy = Package(tmp_path_factory.mktemp("package"))
    saved_as = re.search(r"Save this as `(src/distillery/methods/\w+\.py)`", PAGE)
    assert saved_as
    (copy.source.parent / saved_as[1]).write_text(block("python"), encoding="utf-8")
    return copy


def entries() -> dict[str, dict[str, object]]:
    """Return the entries of the page's params file."""
    return dict(YAML(typ="safe").load(block("yaml"))["methods"])


def test_a_student_learns_by_the_new_method(package: Package, project: Project) -> None:
    file = project.params({"methods": entries()})
    package.run("-c", TRAIN, str(file), str(project.data))
    found = {}
    for folder in (project.data / "students").glob("*-logit-mse-*"):
        settings = json.loads((folder / "manifest.json").read_text())["settings"]
        assert settings["method"] == "logit-mse"
        assert "test_top1" in json.loads((folder / "metrics.json").read_text())
        terms = pd.read_parquet(folder / "history.parquet").columns
        found[settings["weights"]["kd"], settings["options"]["scale"]] = "kd" in terms
        assert {"ce", "method_mse"} <= set(terms)
    # The KD variant of the page keeps the default scale.
    assert found == {(0, 2): False, (1, 1): True}
    assert list((project.data / "embeddings").iterdir()), "it trains from the cache"


def test_the_catalogue_lists_it(package: Package) -> None:
    printed = package.run("-m", "distillery", "methods", "--json")
    listed = {entry["name"]: entry for entry in json.loads(printed)["methods"]}
    assert listed["logit-mse"]["title"] == "Logit MSE"
    assert listed["logit-mse"]["options"] == [
        {
            "name": "scale",
            "default": 1.0,
            "allowed": "number > 0",
            "meaning": "Factor of the error.",
        }
    ]


def test_a_mistake_in_its_options_costs_one_line(package: Package, project: Project) -> None:
    file = project.params({"methods": {"logit-mse": {"options": {"scal": 2}}}})
    said = package.run("-m", "distillery", "plan", "--params", str(file), status=2)
    assert "methods.logit-mse.options: unknown key 'scal'; did you mean 'scale'?" in said
    assert said.count("\n") == 1

"""Follows docs/adding-a-method.md to the letter, in a copy of the package."""

from __future__ import annotations

import json

import pandas as pd
import pytest
from documented import Package, Page
from project import Project

PAGE = Page("adding-a-method.md")


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Package:
    return Package(tmp_path_factory.mktemp("package"), PAGE)


def test_a_student_learns_by_the_new_method(package: Package, project: Project) -> None:
    file = project.params(PAGE.params())
    package.compute(file, project.data)
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

"""Follows docs/adding-a-model.md to the letter, in a copy of the package."""

from __future__ import annotations

import json
import re

import pytest
from documented import Package, Page
from project import Project

PAGE = Page("adding-a-model.md")


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Package:
    return Package(tmp_path_factory.mktemp("package"), PAGE, "models")


def test_teacher_and_student_of_the_new_family(package: Package, project: Project) -> None:
    package.compute(project.params(PAGE.params()), project.data)
    for folder, arch in (("teachers", "plain3x2"), ("students", "plain3")):
        (run,) = (project.data / folder).iterdir()
        assert json.loads((run / "manifest.json").read_text())["settings"]["arch"] == arch
        assert "test_top1" in json.loads((run / "metrics.json").read_text())


def test_the_tests_of_all_architectures_find_it(package: Package) -> None:
    said = package.test("tests/models/test_every_architecture.py", "-k", "plain3")
    passed = re.search(r"(\d+) passed", said)
    assert passed
    # All tests of each architecture, both of them, and those of a family.
    assert int(passed[1]) >= 20
    assert not re.search("failed|skipped|error", said)


def test_an_unknown_name_is_told_the_new_one(package: Package, project: Project) -> None:
    file = project.params({"teachers": {"t": {"arch": "plain4"}}})
    said = package.run("-m", "distillery", "plan", "--params", str(file), status=2)
    assert "did you mean 'plain3" in said
    assert said.count("\n") == 1

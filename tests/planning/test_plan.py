"""Plans: kept on disk, and searched for runs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from project import Project

from distillery.core.errors import UserError
from distillery.planning import loading


def test_a_plan_survives_the_disk(project: Project) -> None:
    file = project.params({"methods": {"kd": {}, "aecrd": {}}})
    made, kept = loading.load(file, project.data), loading.load(file, project.data)
    assert kept is not made
    assert kept == made


def test_a_kept_plan_needs_no_torch(project: Project) -> None:
    project.plan({"methods": {"kd": {}}})
    code = (
        "import sys; from pathlib import Path; from distillery.planning import loading;"
        "loading.load(Path(sys.argv[1]), Path(sys.argv[2]));"
        "assert 'torch' not in sys.modules and 'pandas' not in sys.modules"
    )
    arguments = [str(project.folder / "tiny.yaml"), str(project.data)]
    subprocess.run([sys.executable, "-c", code, *arguments], check=True)


def test_keys_do_not_depend_on_the_folder_of_the_params_file(
    project: Project, tmp_path: Path
) -> None:
    one = project.plan()
    copy = tmp_path / "elsewhere.yaml"
    copy.write_text((project.folder / "tiny.yaml").read_text())
    assert loading.load(copy, project.data).runs == one.runs


def test_runs_are_found_by_key_name_and_path(project: Project) -> None:
    planned = project.plan()
    run = planned.stage("split")[0]
    for name in (run.key, run.name, f"data/{run.location}/", f"data/{run.location}/manifest.json"):
        assert planned.find(name) == run
    with pytest.raises(UserError, match="unknown run 'digits-split-x'; did you mean"):
        planned.find("digits-split-x")

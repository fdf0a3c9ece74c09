"""The same params give the same keys and bits wherever they are computed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from campaign import Campaigns
from processes import Command
from project import Project
from undisturbed import CHANGES, Undisturbed
from whole import PARAMS, Whole, bits

from distillery.runs.artifact import Artifact


def private() -> None:
    os.umask(0o077)


def test_a_folder_with_spaces_and_private_files(undisturbed: Undisturbed, tmp_path: Path) -> None:
    project = Project(tmp_path / "my own folder, ü")
    project.folder.mkdir()
    project.params(CHANGES, "faults")
    options = ("--params", "faults.yaml", "--data", "data")
    for location in (*undisturbed.inputs(), undisturbed.run.location):
        run = undisturbed.planned.runs[location]
        command = Command(project.folder, "run", run.name, *options, before=private)
        assert command.status() == 0, command.output()
    path = project.data / undisturbed.run.location
    assert Artifact(path).manifest["files"] == undisturbed.files
    readable = [file for file in path.iterdir() if file.stat().st_mode & 0o077]
    assert readable == []


# Two clones

ELSEWHERE = {
    "TZ": "Pacific/Kiritimati",
    "LC_ALL": "POSIX",
    # Python would otherwise take UTF-8 for text in such a locale.
    "PYTHONCOERCECLOCALE": "0",
    "PYTHONUTF8": "0",
    "PYTHONHASHSEED": "4711",
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
}


@pytest.mark.slow
def test_another_clone_has_the_same_keys_and_bits(
    whole: Whole, campaign: Campaigns, tmp_path: Path
) -> None:
    """At another path, with another time zone, locale, hash seed and umask, by real commands."""
    folder = tmp_path / "another clone, ü"
    shutil.copytree(whole.folder / "data" / "raw", folder / "data" / "raw")
    shutil.copy(whole.folder / PARAMS, folder / PARAMS)
    options = ["--params", PARAMS, "--data", "data"]

    def call(*words: str) -> str:
        return subprocess.run(
            [sys.executable, "-m", "distillery", *words, *options],
            cwd=folder,
            env={**os.environ, **ELSEWHERE},
            umask=0o077,
            check=True,
            capture_output=True,
            text=True,
        ).stdout

    with campaign("Another clone") as tally:
        if tally.of(100) < 20:
            pytest.skip("25 runs have a process each, which takes a minute")
        names = [run.name for run in whole.planned.runs.values()]
        call("run", *names)
        call("report")
        found, expected = bits(folder), bits(whole.folder)
        assert found == expected
        for name in expected:
            kind = "runs" if name in whole.planned.runs else "files of the report"
            tally.count(kind, "same key and bits" if kind == "runs" else "same bits")

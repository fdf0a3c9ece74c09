"""Follows docs/tutorial-own-network.md to the letter, in a folder with the workflow's files."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from checkout import WORKFLOW, copy
from documented import Page

PAGE = Page("tutorial-own-network.md")
_SAVED = re.compile(r"ave this as\s+`([\w/.]+)`[^`]*?:\n\n```(?:python|yaml)\n(.*?)```", re.DOTALL)
_COMMANDS = re.compile(r"```sh\n(.*?)```", re.DOTALL)


def run(command: str, folder: Path, status: int = 0) -> str:
    """Run a command of the page and return what it prints."""
    paths = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        command,
        shell=True,
        cwd=folder,
        env={**os.environ, "PATH": paths, "OMP_NUM_THREADS": "1"},
        text=True,
        capture_output=True,
    )
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout + (done.stderr if status else "")


@pytest.mark.slow
def test_every_command_of_the_page_does_what_it_says(tmp_path: Path) -> None:
    copy(tmp_path, WORKFLOW)
    (tmp_path / "data" / "raw").mkdir(parents=True)
    said: list[str] = []
    for part in re.split(r"(?=^## )", PAGE.text, flags=re.MULTILINE):
        for _, kind, found in _steps(part):
            if kind == "file":
                name, content = found
                checksum = next((text.split()[0] for text in said if "data/raw/" in text), "")
                path = tmp_path / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(content.replace("SHA256", checksum), encoding="utf-8")
            else:
                said += [run(command, tmp_path) for command in found[0].strip().splitlines()]
    assert "BROKEN" not in "".join(said)
    students = (tmp_path / "data" / "students").glob("*/manifest.json")
    archs = [json.loads(each.read_text())["settings"]["arch"] for each in students]
    # Pairs share a student without a teacher.
    assert archs.count("models/mynet.py:MyNet") >= 4 + 3
    for name in ("own", "tuned"):
        assert (tmp_path / "reports" / name / "index.html").is_file()
    file = tmp_path / "params" / "own.yaml"
    file.write_text(file.read_text().replace("kd: {}", "ofd: {}"))
    refused = run("distillery plan --params params/own.yaml", tmp_path, status=2)
    quoted = " ".join(re.findall(r"^> (.*)$", PAGE.text, re.MULTILINE))
    assert quoted in refused


def _steps(part: str) -> list[tuple[int, str, tuple[str, ...]]]:
    """Return what a part of the page has its reader save and run, in order."""
    saved = [(found.start(), "file", found.groups()) for found in _SAVED.finditer(part)]
    commands = [(found.start(), "run", found.groups()) for found in _COMMANDS.finditer(part)]
    return sorted(saved + commands)

"""Follows a page of the docs to the letter, in a copy of the package."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

ROOT = Path(__file__).parents[1]
# Computes everything that a params file wants.
_COMPUTE = """
import sys
from pathlib import Path
import torch
from distillery.planning import loading
from distillery.runs import stages
torch.set_num_threads(1)
data = Path(sys.argv[2])
for run in loading.load(Path(sys.argv[1]), data).runs.values():
    stages.execute(data, run)
"""


class Page:
    """A page of the docs."""

    def __init__(self, name: str) -> None:
        self.text = (ROOT / "docs" / name).read_text(encoding="utf-8")

    def files(self) -> dict[str, str]:
        """Return path -> content of the files that the page has its reader save."""
        found = re.findall(r"ave this as `([\w/.]+)`:\n\n```python\n(.*?)```", self.text, re.DOTALL)
        assert found
        return dict(found)

    def params(self) -> dict[str, Any]:
        """Return the first part of a params file on the page."""
        found = re.search(r"```yaml\n(.*?)```", self.text, re.DOTALL)
        assert found
        return dict(YAML(typ="safe").load(found[1]))


class Package:
    """A copy of the sources, used by subprocesses instead of the installed package."""

    def __init__(self, folder: Path, page: Page, tests: str | None = None) -> None:
        """Copy the package, and a folder of tests, and save what the page says."""
        self.folder = folder
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / "src", folder / "src", ignore=ignored)
        if tests:
            shutil.copytree(ROOT / "tests" / tests, folder / "tests" / tests, ignore=ignored)
        for name, content in page.files().items():
            (folder / name).write_text(content, encoding="utf-8")

    def run(self, *arguments: str, status: int = 0) -> str:
        """Run Python in the copy and return what it prints."""
        paths = [str(self.folder / "src"), str(ROOT / "tests")]
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(paths),
            "PYTHONDONTWRITEBYTECODE": "1",
            "OMP_NUM_THREADS": "1",
        }
        done = subprocess.run(
            [sys.executable, *arguments],
            env=environment,
            cwd=self.folder,
            text=True,
            capture_output=True,
        )
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout + (done.stderr if status else "")

    def compute(self, params: Path, data: Path) -> None:
        """Compute all runs of an experiment."""
        self.run("-c", _COMPUTE, str(params), str(data))

    def test(self, *arguments: str) -> str:
        """Run some of the copied tests and return what pytest prints."""
        return self.run("-m", "pytest", "-q", "--no-header", "-p", "no:cacheprovider", *arguments)

"""A copy of the project in which whole workflows run."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from project import TINY, with_changes
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[2]
WORKFLOW = ("Snakefile", "workflow", "profiles")
COPIED = (
    *WORKFLOW,
    "src",
    "dvc.yaml",
    ".dvc/config",
    ".dvc/.gitignore",
    ".dvcignore",
    ".gitignore",
)
IGNORED = shutil.ignore_patterns("__pycache__", "*.pyc")


def copy(folder: Path, names: Iterable[str]) -> None:
    """Copy files and folders of the project to the same places below a folder."""
    for name in names:
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, target, ignore=IGNORED)
        else:
            shutil.copy(ROOT / name, target)


class Checkout:
    """A copy of the project with a tiny default experiment, as a Git repository with DVC."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        copy(folder, COPIED)
        self.write_params(
            {
                "name": "digits",
                "methods": {"ce": {}, "crd": {"options": {"negatives": 16}}},
                "report": {"folder": "reports"},
            }
        )
        self.run("git", "init", "--quiet")
        self.commit()

    def write_params(self, changes: dict, name: str = "digits") -> None:  # type: ignore[type-arg]
        path = self.folder / "params" / f"{name}.yaml"
        path.parent.mkdir(exist_ok=True)
        with path.open("w") as file:
            YAML(typ="safe").dump(with_changes(TINY, changes), file)

    def clone(self, folder: Path) -> Checkout:
        """Return a fresh clone of what is committed."""
        self.run("git", "clone", "--quiet", str(self.folder), str(folder))
        return self._in(folder)

    def copied(self, folder: Path) -> Checkout:
        """Return a copy with all that has been made, to do damage in."""
        shutil.copytree(self.folder, folder, symlinks=True)
        return self._in(folder)

    def _in(self, folder: Path) -> Checkout:
        other = Checkout.__new__(Checkout)
        other.folder = folder
        return other

    def commit(self) -> None:
        self.run("git", "add", "--all")
        identity = ("-c", "user.name=t", "-c", "user.email=t@example.org")
        self.run("git", *identity, "commit", "--quiet", "--message", "state")

    def run(
        self, *command: str, fails: bool = False, environment: dict[str, str] | None = None
    ) -> str:
        """Run a program in the checkout and return what it prints."""
        process = self.start(*command, environment=environment)
        said, _ = process.communicate()
        assert (process.returncode != 0) == fails, said
        return said

    def start(
        self,
        *command: str,
        environment: dict[str, str] | None = None,
        start_new_session: bool = False,
    ) -> subprocess.Popen[str]:
        """Start a program in the checkout; in a session of its own, as a terminal has it."""
        programs = Path(sys.executable).parent
        surroundings = {
            **{name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
            "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
            "OMP_NUM_THREADS": "1",
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": "safe.directory",
            "GIT_CONFIG_VALUE_0": "*",
            **(environment or {}),
        }
        if command[0] == "distillery":
            # As after `uv sync` in this checkout; Snakemake has to find the sources by itself.
            surroundings["PYTHONPATH"] = str(self.folder / "src")
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env=surroundings,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=start_new_session,
        )

    def snakemake(self, *arguments: str, cores: int = 2) -> str:
        return self.run("snakemake", "--cores", str(cores), *arguments)

    def manifests(self) -> dict[str, int]:
        """Return every run directory with the time at which it was published."""
        paths = (self.folder / "data").glob("[!.]*/*/manifest.json")
        return {
            path.parent.relative_to(self.folder / "data").as_posix(): path.stat().st_mtime_ns
            for path in paths
        }

    def only(self, folder: str, part: str) -> Path:
        """Return the one run directory in a folder whose name contains ``part``."""
        (path,) = (self.folder / "data" / folder).glob(f"*{part}*")
        return path

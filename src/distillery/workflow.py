"""What the Snakefile asks of the plan; the rules themselves hold no logic."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from distillery.core.errors import UserError, exit_on_failure
from distillery.planning import loading
from distillery.planning.plan import Plan
from distillery.reporting import files
from distillery.reporting.page import publish
from distillery.runs.artifact import MANIFEST
from distillery.runs.run import Run
from distillery.runs.stages import STAGES, Stage


class Graph:
    """The jobs of one experiment as paths, for Snakemake's rules."""

    def __init__(self, planned: Plan, data: str) -> None:
        self.plan = planned
        self.data = data
        self.stages = tuple(STAGES.values())
        # As dvc.yaml has them.
        self.folders = tuple(dict.fromkeys(stage.folder for stage in self.stages))
        self._by_name = {run.name: run for run in planned.runs.values()}

    def manifests(self, folder: str | None = None) -> list[str]:
        """Return the manifest of every run, or of those in one folder of ``data/``."""
        return [
            self._manifest(run.location)
            for run in self.plan.runs.values()
            if folder in (None, run.folder)
        ]

    def inputs(self, mark: Callable[[str], Any]) -> Callable[[Any], list[Any]]:
        """Return an input function: the manifests that the run ``wildcards.run`` reads.

        Args:
            mark: Snakemake's ``ancient``, so that modification times play no part.
        """

        def of_run(wildcards: Any) -> list[Any]:
            inputs = dict.fromkeys(self._run(wildcards).inputs.values())
            return [mark(self._manifest(location)) for location in inputs]

        return of_run

    def names(self, stage: Stage) -> str:
        """Return a pattern that matches the directory names of one stage's runs only."""
        # An alternative that never matches stands for a stage without runs.
        return "|".join(re.escape(run.name) for run in self.plan.stage(stage.name)) or "(?!)"

    def threads(self, stage: Stage, cores: int | None) -> Callable[[Any], int]:
        """Return a function of the wildcards: the threads of a run.

        Args:
            stage: the stage of the run.
            cores: all cores, which a run that needs the machine to itself asks for; None where
                other machines have the jobs.
        """
        usual = self.plan.threads if stage.trains else 1
        return lambda wildcards: (cores or usual) if self._run(wildcards).exclusive else usual

    def gpu(self, stage: Stage) -> Callable[[Any], int]:
        """Return a function of the wildcards: the number of accelerators of a run."""

        def of_run(wildcards: Any) -> int:
            own = self._run(wildcards).gpu
            return int(stage.gpu if own is None else own)

        return of_run

    def report_files(self, suffix: str | tuple[str, ...]) -> list[str]:
        """Return the files of the report with this suffix (or one of several)."""
        folder = self.plan.report.folder
        names = files.expected(self.plan.report)
        return [f"{folder}/{name}" for name in names if name.endswith(suffix)]

    def report_marker(self) -> str:
        """Return the file that tells that the report is the current one."""
        settings = self.plan.report
        return str(publish.marker(Path(self.data), settings.folder, self.plan.report_key))

    def collected(self) -> str:
        """Return the manifest of the collected results."""
        return self._manifest(self.plan.collected)

    def _manifest(self, location: str) -> str:
        return f"{self.data}/{location}/{MANIFEST}"

    def _run(self, wildcards: Any) -> Run:
        return self._by_name[wildcards.run]


def graph(configfiles: Iterable[Path], config: Mapping[str, Any], data: str, default: str) -> Graph:
    """Plan the experiment of the params file that Snakemake was called with.

    A wrong file ends the program with one line and status 2.
    """
    with exit_on_failure():
        return Graph(loading.load(params_file(configfiles, config, default), Path(data)), data)


def use_sources(folder: str) -> None:
    """Make the programs that jobs start import this package from ``folder``."""
    inherited = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [folder, inherited]))


def params_file(configfiles: Iterable[Path], config: Mapping[str, Any], default: str) -> Path:
    """Return the one params file: that of ``--configfile``, or the default.

    Raises:
        UserError: there are several, or single values were given by ``--config``.
    """
    named = list(configfiles)
    if config:
        raise UserError("--config is not supported: a params file describes all; copy and edit one")
    if len(named) > 1:
        raise UserError("give one --configfile: a params file describes an experiment completely")
    path = Path(named[0] if named else default)
    inside = path.is_absolute() and path.is_relative_to(Path.cwd())
    return path.relative_to(Path.cwd()) if inside else path

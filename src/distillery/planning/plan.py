"""A plan: every run of an experiment with its key, and the rows that its report is made of."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from distillery.core.settings import FrozenModel
from distillery.data.card import Look, Whereabouts
from distillery.reporting.settings import ReportSettings, Row
from distillery.runs.artifact import Finished
from distillery.runs.finding import found
from distillery.runs.outdated import Outdated
from distillery.runs.run import Run


class OutsideFile(FrozenModel):
    """A file from outside that a run reads: a checkpoint."""

    key: str
    """Where the params file has it."""
    name: str
    """Its name, looked up among the raw files."""
    sha256: str
    """Its checksum."""
    run: str
    """Location of the run that reads it."""


class Plan(FrozenModel):
    """All runs of an experiment."""

    name: str
    """The experiment's name."""
    runs: dict[str, Run]
    """Location -> run, inputs before what reads them."""
    rows: tuple[Row, ...]
    """What the report shows."""
    collected: str
    """Location of the run that collects every result."""
    report: ReportSettings
    """Settings of the report."""
    report_key: str
    """Key of the report: its settings, the collected results and its code."""
    threads: int
    """CPU threads of a training run."""
    notes: tuple[str, ...] = ()
    """What whoever runs it should know: what was found in the data, and fitted to them."""
    sources: dict[str, Whereabouts] = Field(default_factory=dict)
    """Where the data sets are that are read from files, by id."""
    looks: dict[str, Look] = Field(default_factory=dict)
    """What was found of them."""
    outside: tuple[OutsideFile, ...] = ()
    """Other files that runs read."""

    @property
    def has_own_keys(self) -> bool:
        """Whether every run lies where its settings, inputs and code say, as they are now."""
        return all(
            location == run.location and run.has_own_key for location, run in self.runs.items()
        )

    def stage(self, name: str) -> list[Run]:
        """Return the runs of one stage."""
        return [run for run in self.runs.values() if run.stage == name]

    def find(self, name: str) -> Run:
        """Return the run with this name, key, or beginning or part of one (see ``runs.finding``).

        Raises:
            UserError: the params file plans no such run, or several.
        """
        by_name = {run.name: run for run in self.runs.values()}
        where = "`distillery plan` lists the runs that the params file wants"
        return by_name[found(name, by_name, where)]

    def pending(self, data: Path) -> list[Run]:
        """Return the runs that are not in ``data`` yet, or were made of what has changed since."""
        finished, outdated = Finished(data), self.outdated(data)
        return [
            run
            for run in self.runs.values()
            if run.location in outdated or run.location not in finished
        ]

    def outdated(self, data: Path) -> set[str]:
        """Return locations of runs whose inputs have been made again; see ``runs.outdated``."""
        return Outdated(data).of(self.runs.values())

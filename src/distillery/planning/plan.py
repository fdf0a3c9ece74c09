"""From a params file to its runs: the only place that knows the grid.

A plan holds every run of an experiment with its key, and the rows that the report is made of. It
depends on the params file and on the code alone, so it is kept on disk under the digest of both:
methods and models need torch, whose import would otherwise slow down every call.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from distillery.core.errors import UserError, unknown_name
from distillery.runs.artifacts import Run, is_complete, write_atomically
from distillery.runs.fingerprint import source_digest

_CACHE = ".cache/plans"


@dataclass(frozen=True)
class Row:
    """One student or teacher in the report.

    Attributes:
        table: ``teachers``, ``main`` or the id of an ablation.
        pair, method: ids in the params file; empty for teachers.
        title: what tables call the row.
        variant: axis -> value, for ablations.
        seed: the student's seed.
        classifies: whether its training reaches the classifier, so that it has an accuracy.
        run: location of the trained network.
        evaluations: protocol -> location of its run.
        teacher: location of the teacher that the row belongs to.
    """

    table: str
    pair: str
    method: str
    title: str
    variant: Mapping[str, Any]
    seed: int
    classifies: bool
    run: str
    evaluations: Mapping[str, str]
    teacher: str


@dataclass(frozen=True)
class Plan:
    """All runs of an experiment.

    Attributes:
        name: the experiment's name.
        runs: location -> run, inputs before what reads them.
        collected: location of the run that collects every result.
        rows: what the report shows.
        report: settings of the report, with its folder and titles.
        report_key: key of the report: its settings, the collected results and its code.
        threads: CPU threads of a training run.
    """

    name: str
    runs: Mapping[str, Run]
    rows: tuple[Row, ...]
    collected: str
    report: Mapping[str, Any]
    report_key: str
    threads: int = 1

    def stage(self, name: str) -> list[Run]:
        """Return the runs of one stage."""
        return [run for run in self.runs.values() if run.stage == name]

    def find(self, name: str) -> Run:
        """Return the run with this directory name, location or key.

        Raises:
            UserError: the params file plans no such run.
        """
        wanted = name.rstrip("/").removesuffix("/manifest.json").rpartition("/")[2]
        for run in self.runs.values():
            if wanted in (run.name, run.key):
                return run
        names = [run.name for run in self.runs.values()]
        message = str(unknown_name("run", wanted, names)).partition(" (allowed")[0]
        raise UserError(f"{message}; `distillery plan` lists the runs that the params file wants")

    def pending(self, data: Path) -> list[Run]:
        """Return the runs that are not in ``data`` yet."""
        return [run for run in self.runs.values() if not is_complete(data / run.location)]

    def as_dict(self) -> dict[str, Any]:
        """Return the plan as plain values."""
        return {**asdict(self), "runs": [run.as_dict() for run in self.runs.values()]}

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Plan:
        """Restore a plan from plain values."""
        runs = [Run(**run) for run in plain["runs"]]
        return cls(
            **{
                **plain,
                "runs": {run.location: run for run in runs},
                "rows": tuple(Row(**row) for row in plain["rows"]),
            }
        )


def load(params: Path, data: Path = Path("data")) -> Plan:
    """Return the plan of a params file, from the disk when file and code are unchanged.

    Raises:
        UserError: the params file is wrong, in one line.
    """
    try:
        content = params.read_bytes()
    except OSError:
        raise UserError(f"{params}: no such params file") from None
    digest = hashlib.sha256(
        f"{source_digest()}\0{sys.version}\0{params}\0".encode() + content
    ).hexdigest()
    kept = data / _CACHE / f"{digest[:32]}.json"
    if kept.is_file():
        return Plan.from_dict(json.loads(kept.read_text(encoding="utf-8")))
    from distillery.experiment import params as schema
    from distillery.planning.build import build

    plan = build(schema.load(params), params)
    write_atomically(kept, json.dumps(plan.as_dict()).encode())
    return plan

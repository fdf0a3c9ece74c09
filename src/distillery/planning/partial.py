"""The report of what is there, when some runs of an experiment have failed or are not made yet.

What is missing is left out of the experiment as its author would: a method of a pair, an ablation,
a protocol. Keys of the other runs stay as they are, so that the report is that of a smaller
experiment, with the gaps named at its top.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from distillery.core.errors import UserError
from distillery.experiment import reading
from distillery.experiment.experiment import Experiment
from distillery.planning.build import build
from distillery.planning.plan import Plan
from distillery.reporting.settings import Row
from distillery.runs.produce import failure_of, scratch_of
from distillery.runs.run import Run, run_key

_TEACHERS, _MAIN = "teachers", "main"


class Gap(NamedTuple):
    """Something that a report leaves out.

    Attributes:
        what: what it is, in words.
        run: location of a run that is missing.
    """

    what: str
    run: str


def partial_plan(params: Path, plan: Plan, data: Path) -> Plan:
    """Return the plan of what is there, whose report names what is not.

    Args:
        params: the params file.
        plan: its plan.
        data: the data folder.

    Raises:
        UserError: too little is there for a report.
    """
    missing = {run.location for run in plan.pending(data)}
    experiment = reading.load(params)
    cut = _Cut(experiment, plan, missing)
    reduced = cut.experiment()
    gaps = [f"{gap.what}: {_reason(plan, gap.run, missing, data)}" for gap in cut.gaps]
    nothing = f"{data / plan.collected}: this run has not been made; run snakemake to make it"
    if not any(row.table == _MAIN for row in cut.kept):
        raise UserError(nothing)
    small = build(reduced, params, plan.looks, is_cut=True)
    needed = small.runs[small.collected].inputs.values()
    if any(location in missing or location not in plan.runs for location in needed):
        raise UserError(nothing)
    settings = small.report.model_copy(update={"gaps": tuple(gaps)})
    key = run_key({"report": small.report_key, "gaps": gaps})
    return small.model_copy(update={"report": settings, "report_key": key})


class _Cut:
    """Finds out what of an experiment is missing.

    Attributes:
        gaps: what is, each once.
        kept: rows that are not.
    """

    def __init__(self, experiment: Experiment, plan: Plan, missing: set[str]) -> None:
        self._experiment = experiment
        self._missing = missing
        self.gaps: list[Gap] = []
        rows: dict[str, list[Row]] = {_TEACHERS: [], _MAIN: []} | {
            table: [row for row in plan.rows if row.table == table]
            for table in dict.fromkeys(row.table for row in plan.rows)
        }
        named = zip(experiment.teachers, rows[_TEACHERS], strict=True)
        self._teachers = {
            name for name, row in named if self._noted(f"teacher {name} and its pairs", [row])
        }
        self._pairs = {
            name for name, pair in experiment.pairs.items() if self._teachers & {*pair.teachers}
        }
        self._students: set[tuple[str, str]] = set()
        for pair, method in dict.fromkeys((row.pair, row.method) for row in rows[_MAIN]):
            members = [row for row in rows[_MAIN] if (row.pair, row.method) == (pair, method)]
            if pair not in self._pairs and self._noted(f"{method} of {pair}", members):
                self._students.add((pair, method))
        others = {name: of for name, of in rows.items() if name not in (_TEACHERS, _MAIN)}
        self._tables = {name for name, of in others.items() if self._noted(name, of)}
        self.kept = [row for row in plan.rows if self._is_kept(row)]
        self._protocols = {name for name in experiment.protocols if self._is_unmeasured(name)}

    def experiment(self) -> Experiment:
        """Return the experiment without what is missing.

        Raises:
            UserError: settings are tuned on a pair that is missing.
        """
        whole, gone = self._experiment, self._tables | self._protocols
        tuning = whole.tuning
        if tuning and {*tuning.pairs} & self._pairs:
            raise UserError("the pair that settings are tuned on is missing; run snakemake")
        compared = {
            (pair, entry)
            for pair in whole.pairs
            for entry in whole.methods
            if whole.compares(pair, entry)
            and (pair, entry) not in self._students
            and pair not in self._pairs
        }
        if tuning:
            still = {entry for _, entry in compared}
            methods = {name: each for name, each in tuning.methods.items() if name in still}
            tuning = tuning.model_copy(update={"methods": methods}) if methods else None
        claims = tuple(
            claim
            for claim in whole.report.claims
            if any({(pair, claim.better), (pair, claim.worse)} <= compared for pair in whole.pairs)
        )
        return whole.model_copy(
            update={
                "teachers": _without(whole.teachers, self._teachers),
                "pairs": {
                    name: pair.model_copy(
                        update={
                            "without": (
                                *pair.without,
                                *(entry for of, entry in self._students if of == name),
                            )
                        }
                    )
                    for name, pair in _without(whole.pairs, self._pairs).items()
                },
                "methods": {
                    name: self._of_kept_pairs(each) for name, each in whole.methods.items()
                },
                "ablations": _without(whole.ablations, gone),
                "protocols": {
                    name: self._of_kept_pairs(each)
                    for name, each in _without(whole.protocols, gone).items()
                },
                "tuning": tuning,
                "report": whole.report.model_copy(update={"claims": claims}),
            }
        )

    def _of_kept_pairs(self, entry: Any) -> Any:
        """Return a section whose ``pairs`` name none that is gone."""
        if entry.pairs is None:
            return entry
        pairs = tuple(pair for pair in entry.pairs if pair not in self._pairs)
        return entry.model_copy(update={"pairs": pairs})

    def _noted(self, what: str, rows: list[Row]) -> bool:
        """Tell whether a network of some rows is missing, and note it."""
        gone = [run for row in rows for run in (row.run, row.teacher) if run in self._missing]
        if gone:
            self.gaps.append(Gap(what, gone[0]))
        return bool(gone)

    def _is_unmeasured(self, protocol: str) -> bool:
        """Tell whether a protocol has not been run on all networks that are there, and note it."""
        of_rows = (row.evaluations.get(protocol, "") for row in self.kept)
        gone = [location for location in of_rows if location in self._missing]
        if gone:
            self.gaps.append(Gap(f"protocol {protocol}", gone[0]))
        return bool(gone)

    def _is_kept(self, row: Row) -> bool:
        if row.table == _TEACHERS:
            return row.run not in self._missing
        if row.table == _MAIN:
            return row.pair not in self._pairs and (row.pair, row.method) not in self._students
        return row.table not in self._tables


def _without(entries: dict[str, Any], gone: set[str]) -> dict[str, Any]:
    return {name: entry for name, entry in entries.items() if name not in gone}


def _reason(plan: Plan, location: str, missing: set[str], data: Path) -> str:
    """Return why a run is missing: why it failed, or what it waits for did."""
    waiting = _waiting_for(plan.runs[location], plan.runs.__getitem__, missing)
    reasons = (failure_of(scratch_of(data, run)) for run in waiting)
    return next(filter(None, reasons), "not computed yet")


def _waiting_for(run: Run, find: Callable[[str], Run], missing: set[str]) -> Iterator[Run]:
    """Yield the missing runs that a missing run needs, those that were to be first, and itself."""
    for location in run.inputs.values():
        if location in missing:
            yield from _waiting_for(find(location), find, missing)
    yield run

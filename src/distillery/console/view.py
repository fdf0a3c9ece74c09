"""A workflow as Snakemake's events tell it, with the runs that its jobs compute."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from distillery.console import lines
from distillery.console.screen import Screen
from distillery.console.time_left import TimeLeft
from distillery.planning.plan import Plan
from distillery.reporting.formatting import counted, duration
from distillery.runs.apart import log_of
from distillery.runs.artifact import MANIFEST, Finished
from distillery.runs.produce import failure_of, scratch_of
from distillery.runs.run import Run

# Name of the rule that makes the report.
REPORT_RULE = "build_report"
# How often finished runs of running jobs are looked for, in seconds.
_PERIOD = 1.0
_STOPPING = "Terminating processes on user request"
_ASSUMING = "Assuming unrestricted shared filesystem usage"
_NOTHING = "Nothing to be done"
# Said better by the lines of the runs that failed.
_SAID_BETTER = ("At least one job did not complete", "Exiting because a job execution failed")


@dataclass
class _Job:
    """A job that runs: what it computes, and since when."""

    runs: list[Run]
    since: float


class View:
    """Shows what becomes of the runs of one call.

    Args:
        plan: the experiment.
        data: the data folder.
        logs: folder of the runs' logs.
        runs_of: name of a batch -> the runs that its job computes.
        page_of: the report's page if it is the current one, otherwise None.
        lanes: how many runs are computed at a time.
        screen: where it is shown.
        is_dry: whether nothing is computed, and it is only said what would be.

    Attributes:
        is_stopping: whether Ctrl-C was pressed.
        partial_page: page of a report with gaps that was made since runs have failed.
    """

    def __init__(
        self,
        plan: Plan,
        data: Path,
        logs: Path,
        runs_of: Callable[[str], list[Run]],
        page_of: Callable[[], str | None],
        lanes: int,
        screen: Screen,
        *,
        is_dry: bool,
    ) -> None:
        self._plan, self._data, self._logs = plan, data, logs
        self._runs_of, self._page_of = runs_of, page_of
        self._screen, self._is_dry = screen, is_dry
        self._left = TimeLeft(plan.runs, lanes)
        self._lock = threading.Lock()
        self._started = time.monotonic()
        self._wanted: dict[str, Run] = {}
        self._made: dict[str, Run] = {}
        # Location of an outdated run -> what its manifest is known by until it is made again.
        self._replaced: dict[str, int] = {}
        self._failed: dict[str, str] = {}
        self._jobs: dict[int, _Job] = {}
        self._has_begun = self._has_nothing_to_do = self._wants_report = False
        self.is_stopping = False
        self.partial_page: str | None = None
        # Number of runs that are missing -> time left, which is new with each run that ends.
        self._seconds_left: dict[int, float | None] = {}
        self._closing = threading.Event()
        self._watcher = threading.Thread(target=self._watch, daemon=True)

    def begin(self, batches: Iterable[str], *, wants_report: bool) -> None:
        """Say which batches are going to be computed, and whether the report is."""
        with self._lock:
            self._wants_report = wants_report
            wanted = [run for batch in batches for run in self._runs_of(batch)]
            self._wanted = {run.location: run for run in wanted}
            stamps = ((run.location, _stamp(self._data / run.location)) for run in wanted)
            self._replaced = {location: stamp for location, stamp in stamps if stamp}
            self._left.look_at(self._data, self._plan.runs.keys() - self._wanted.keys())
            if wanted:
                self._screen.line(
                    f"to make: {counted(len(wanted), 'run')}: {lines.counted(wanted)}"
                )

    def show(self, record: logging.LogRecord) -> bool:
        """Show one of Snakemake's records; False: its own way is right for it."""
        event = getattr(record, "event", None)
        with self._lock:
            match event and str(event):
                case "workflow_started":
                    self._has_begun = True
                case "job_info":
                    self._start(record)
                case "job_finished":
                    self._finish(record.__dict__["job_id"])
                case "job_error":
                    self._fail(record)
                case "group_info" | "group_error" | "debug_dag":
                    return False
                case "error" | None:
                    return self._hears(record)
        return True

    def notice(self, record: logging.LogRecord) -> None:
        """Take notice of Ctrl-C where this view is not the one that is shown."""
        self.is_stopping |= _STOPPING in record.getMessage()

    def close(self) -> None:
        """Say what was made, what failed and why, and where the report is."""
        self._closing.set()
        if self._watcher.is_alive():
            self._watcher.join()
        with self._lock:
            self._look()
            self._screen.clear()
            for line in self._would() if self._is_dry else self._outcome():
                self._screen.line(line)

    def _hears(self, record: logging.LogRecord) -> bool:
        """Take notice of what Snakemake says in words; True: nobody else needs to read it."""
        said = record.getMessage()
        if _STOPPING in said:
            self.is_stopping = True
            self._screen.progress("stopping: what is being computed saves its state")
            return True
        if record.levelno >= logging.WARNING:
            is_of_a_job = "CalledProcessError" in said or any(part in said for part in _SAID_BETTER)
            return self.is_stopping or is_of_a_job
        self._has_nothing_to_do |= _NOTHING in said
        return (self._has_begun and _NOTHING not in said) or said.startswith(_ASSUMING)

    def _start(self, record: logging.LogRecord) -> None:
        job = record.__dict__
        batch = job["wildcards"].get("batch")
        runs = self._runs_of(batch) if batch else []
        self._jobs[job["jobid"]] = _Job(runs, time.time())
        self._wants_report |= job["rule_name"] == REPORT_RULE
        # It may be tried again.
        self._failed.pop(_name(record), None)
        for run in runs:
            self._wanted.setdefault(run.location, run)
            self._failed.pop(run.location, None)
        if not self._is_dry and not self._watcher.is_alive() and not self._closing.is_set():
            self._watcher.start()

    def _finish(self, job: int) -> None:
        # Another experiment may have made a run of it, under another name, or one was not outdated
        # after all, as its input came out as before.
        for run in self._jobs[job].runs if job in self._jobs else ():
            self._replaced.pop(run.location, None)
        self._look(Finished(self._data).path)
        self._jobs.pop(job, None)

    def _fail(self, record: logging.LogRecord) -> None:
        """Say which runs of a job failed: those that wrote into their logs and are not there."""
        self._look()
        job = self._jobs.pop(record.__dict__["jobid"], None)
        if self.is_stopping:
            return
        missing = [run for run in job.runs if run.location not in self._made] if job else []
        tried = [run for run in missing if job and self._has_written(run, job.since)]
        for run in tried:
            log = log_of(self._logs, run)
            # One that was killed could not say why.
            why = failure_of(scratch_of(self._data, run)) or lines.last_line(log)
            self._note_failure(run.location, lines.failed(run, why, log))
        if not tried:
            rule = record.__dict__["rule_name"]
            log = Path(next(iter(record.__dict__["log"]), ""))
            why = f"failed: {rule}: {lines.last_line(log)} ({log})"
            self._note_failure(_name(record), why)

    def _note_failure(self, name: str, line: str) -> None:
        self._failed[name] = line
        self._screen.line(line)

    def _has_written(self, run: Run, since: float) -> bool:
        log = log_of(self._logs, run)
        # File systems keep times more coarsely than clocks.
        return log.exists() and log.stat().st_mtime >= since - _PERIOD

    def _watch(self) -> None:
        while not self._closing.wait(_PERIOD):
            with self._lock:
                self._look()

    def _look(self, place: Callable[[str], Path] | None = None) -> None:
        """Say which runs have been finished, and how far the call is.

        Args:
            place: the directory of a run with this location; where it is made when not given.
        """
        if self._is_dry:
            return
        place = place or self._data.joinpath
        for job in self._jobs.values():
            for run in job.runs:
                folder = place(run.location)
                stamp = None if run.location in self._made else _stamp(folder)
                if stamp and stamp != self._replaced.get(run.location):
                    self._made[run.location] = run
                    seconds = lines.seconds_of(folder)
                    if seconds is not None:
                        self._left.took(run, seconds)
                    self._screen.line(lines.finished(run, folder))
        if self._wanted and not self.is_stopping:
            self._screen.progress(self._progress())

    def _progress(self) -> str:
        missing = self._wanted.keys() - self._made.keys() - self._failed.keys()
        parts = [f"{len(self._made)} of {counted(len(self._wanted), 'run')} made"]
        if self._failed:
            parts.append(f"{len(self._failed)} failed")
        if len(missing) not in self._seconds_left:
            self._seconds_left = {len(missing): self._left.of(missing)}
        left = self._seconds_left[len(missing)]
        if left is not None and missing:
            parts.append(f"about {duration(left)} left")
        return ", ".join(parts)

    def _would(self) -> Iterable[str]:
        if self._wanted:
            wanted = self._wanted.values()
            yield f"would make {counted(len(wanted), 'run')}: {lines.counted(wanted)}"
        if self._wants_report:
            yield f"would make the report in {self._plan.report.folder}/"
        if self._has_nothing_to_do:
            yield from self._report()

    def _outcome(self) -> Iterable[str]:
        if self.is_stopping:
            of = f"{len(self._made)} of {counted(len(self._wanted), 'run')} made"
            yield f"stopped: {of}; the next call goes on from there"
            return
        if self._made:
            taken = duration(time.monotonic() - self._started)
            made = lines.counted(self._made.values())
            yield f"made {counted(len(self._made), 'run')} in {taken}: {made}"
        yield from self._failed.values()
        waiting = self._wanted.keys() - self._made.keys() - self._failed.keys()
        if waiting and self._failed:
            untried = lines.counted(self._wanted[location] for location in waiting)
            yield f"not tried, for lack of what failed: {untried}"
        outdated = self._plan.outdated(self._data) - self._failed.keys() if self._made else ()
        if outdated:
            them = "it" if len(outdated) == 1 else "them"
            yield (
                f"{counted(len(outdated), 'run')} had read other contents of what was made now: "
                f"the next call makes {them} again"
            )
        if self._wants_report or self._has_nothing_to_do:
            yield from self._report()

    def _report(self) -> Iterable[str]:
        page = self._page_of()
        if page:
            yield f"report: {page}"
        elif self.partial_page:
            yield f"report of what is there: {self.partial_page}"
        else:
            yield "report: not made, since runs are missing"


def _stamp(folder: Path) -> int | None:
    """Return what the manifest of a run is known by until it is replaced; None if it has none."""
    try:
        return (folder / MANIFEST).stat().st_mtime_ns
    except OSError:
        return None


def _name(record: logging.LogRecord) -> str:
    """Return the name of a job."""
    return f"{record.__dict__['rule_name']} {record.__dict__['jobid']}"

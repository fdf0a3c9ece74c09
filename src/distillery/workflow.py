"""What the Snakefile asks of the plan; the rules themselves hold no logic."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distillery.console.screen import Screen
from distillery.console.view import REPORT_RULE, View
from distillery.core.errors import UserError, exit_on_failure
from distillery.planning import loading
from distillery.planning.batches import Batch, Size, batches_of
from distillery.planning.plan import Plan
from distillery.reporting import files
from distillery.reporting.page import publish
from distillery.reporting.thesis import document
from distillery.runs.artifact import MANIFEST, Artifact, Finished, is_complete
from distillery.runs.run import Run
from distillery.runs.stages import STAGES, Stage

if TYPE_CHECKING:
    from distillery.costs.requests import Request
    from distillery.costs.work import Works

# Most short runs of a job on this machine, unless `--resources batch=N` says otherwise.
LARGEST_BATCH = 24
SIZE_OF_JOBS = "DISTILLERY_SIZE_OF_JOBS"
# Folder of the runs' logs.
LOGS = "logs"
_MARKERS = ".batches"


class Graph:
    """The jobs of one experiment as paths, for Snakemake's rules.

    A job computes a batch of runs. Its output is a marker, not the manifests of the runs: what
    Snakemake knows as outputs it removes when a job fails, and a finished run is never touched.
    """

    def __init__(self, planned: Plan, data: str, size: Size) -> None:
        self.plan = planned
        self.size = size
        self.data = data
        self.stages = tuple(STAGES.values())
        # As dvc.yaml has them.
        self.folders = tuple(dict.fromkeys(stage.folder for stage in self.stages))
        batches = batches_of(planned.runs.values(), size)
        self._batches = {batch.name: batch for batch in batches}
        self._batch_of = {run.location: batch for batch in batches for run in batch.runs}
        self._finished = Finished(Path(data))
        self._missing = {run.location for run in planned.pending(Path(data))}

    def forget_outdated(self) -> None:
        """Remove the markers of batches of which a run is missing, as when one was deleted.

        And that of a report whose results have been collected anew since, or are going to be.
        """
        for batch in self._batches.values():
            if self._to_do(batch):
                Path(self._marker(batch)).unlink(missing_ok=True)
        marker, collected = Path(self.report_marker()), self._finished.path(self.plan.collected)
        if marker.exists() and is_complete(collected) and not self._shows(collected):
            marker.unlink()

    def _shows(self, collected: Path) -> bool:
        """Tell whether the report is that of these results, which are to stay."""
        settings, key = self.plan.report, self.plan.report_key
        return self.plan.collected not in self._missing and publish.is_of(
            Path(self.data), settings.folder, key, Artifact(collected)
        )

    def results(self, folder: str | None = None) -> list[str]:
        """Return what stands for every run, or for those in one folder of ``data/``."""
        locations = (
            run.location for run in self.plan.runs.values() if folder in (None, run.folder)
        )
        return list(dict.fromkeys(map(self._result, locations)))

    def inputs(self, mark: Callable[[str], Any]) -> Callable[[Any], list[Any]]:
        """Return an input function: what the runs of the batch ``wildcards.batch`` read.

        Args:
            mark: Snakemake's ``ancient``, so that modification times play no part.
        """

        def of_batch(wildcards: Any) -> list[Any]:
            runs = self._to_do(self._batch(wildcards))
            read = (location for run in runs for location in run.inputs.values())
            return [mark(path) for path in dict.fromkeys(map(self._result, read))]

        return of_batch

    def runs(self, wildcards: Any) -> list[str]:
        """Return the names of the runs that a batch has to compute.

        A job on another machine may find that none is: it was planned since what it reads was to be
        made again, and that has come out as before. It names them all, which costs nothing.
        """
        batch = self._batch(wildcards)
        return [run.name for run in self._to_do(batch) or batch.runs]

    def to_do(self, batch: str) -> list[Run]:
        """Return the runs that a batch has to compute."""
        return self._to_do(self._batches[batch])

    def marker(self, stage: Stage) -> str:
        """Return the pattern of the markers of a stage's finished batches.

        Each stage has a folder of its own, so that no rule needs a list of all its batches.
        """
        return f"{self._markers(stage.name)}/{{batch}}"

    def threads(self, stage: Stage, cores: int | None) -> Callable[[Any], int]:
        """Return a function of the wildcards: the threads of a batch.

        Args:
            stage: the stage of its runs.
            cores: all cores, which a run asks for that needs the machine to itself or can use
                them; None where other machines have the jobs.
        """
        usual = self._threads_of_run(stage)

        def of_batch(wildcards: Any) -> int:
            run = self._batch(wildcards).runs[0]
            if run.exclusive or run.spreads:
                return cores or (self.plan.threads if run.spreads else usual)
            return usual * self._lanes(stage, wildcards)

        return of_batch

    def lanes(self, stage: Stage) -> Callable[[Any, int], int]:
        """Return a function of wildcards and threads: how many runs of a batch run at a time.

        They are fewer than asked for where Snakemake has not as many cores.
        """
        usual = self._threads_of_run(stage)
        return lambda wildcards, threads: max(
            1, min(self._lanes(stage, wildcards), threads // usual)
        )

    def priority(self, stage: Stage) -> int:
        """Return Snakemake's priority of a stage's jobs: first what others wait for."""
        return len(self.stages) - self.stages.index(stage)

    def memory(self, stage: Stage, cores: int | None) -> Callable[[Any, int], int]:
        """Return a function of wildcards and attempt: the memory of a batch, in MiB.

        On other machines it comes from the sizes of data and networks. A job that is tried again
        asks for more, in case there was too little.

        Args:
            stage: the stage of its runs.
            cores: all cores; None where other machines have the jobs.
        """

        def of_batch(wildcards: Any, attempt: int) -> int:
            runs = self._batch(wildcards).runs
            each = stage.memory_mb if cores else max(self._request(run).memory_mb for run in runs)
            return each * self._lanes(stage, wildcards) * attempt

        return of_batch

    def gpu(self, stage: Stage) -> Callable[[Any], int]:
        """Return a function of the wildcards: the number of accelerators of a batch."""

        def of_batch(wildcards: Any) -> int:
            own = self._batch(wildcards).runs[0].gpu
            return int(stage.gpu if own is None else own)

        return of_batch

    def runtime(self, stage: Stage, cores: int | None) -> Callable[[Any, int], int]:
        """Return a function of wildcards and attempt: the time limit of a batch, in minutes.

        Args:
            stage: the stage of its runs.
            cores: all cores; None where other machines have the jobs.
        """

        def of_batch(wildcards: Any, attempt: int) -> int:
            runs = self._batch(wildcards).runs
            each = stage.runtime if cores else max(self._request(run).minutes for run in runs)
            return each * math.ceil(len(runs) / self._lanes(stage, wildcards)) * attempt

        return of_batch

    def report_files(self, suffix: str | tuple[str, ...]) -> list[str]:
        """Return the files of the report with this suffix (or one of several)."""
        folder = self.plan.report.folder
        names = files.expected(self.plan.report)
        return [f"{folder}/{name}" for name in names if name.endswith(suffix)]

    def report_file(self, name: str) -> str:
        """Return one of the files of the report by its name below the report's folder."""
        return f"{self.plan.report.folder}/{name}"

    def thesis_files(self) -> list[str]:
        """Return the files of the report as a LaTeX document."""
        return document.expected(self.plan.report)

    def caption(self, file: str) -> str:
        """Return what holds the caption of one of the report's figures or tables."""
        folder = self.plan.report.folder
        name = Path(file).relative_to(folder).as_posix()
        return str(publish.caption(Path(self.data), folder, name).absolute())

    def report_marker(self) -> str:
        """Return the file that tells that the report is the current one."""
        settings = self.plan.report
        return str(publish.marker(Path(self.data), settings.folder, self.plan.report_key))

    def current_page(self) -> str | None:
        """Return the report's page if it is the one of these results."""
        is_current = Path(self.report_marker()).exists()
        return f"{self.plan.report.folder}/{files.PAGE}" if is_current else None

    def runs_at_a_time(self, cores: int | None, jobs: int | None) -> int:
        """Return how many runs are computed at a time.

        Args:
            cores: cores of this machine; None where other machines have the jobs.
            jobs: how many jobs there are at a time on other machines.
        """
        return max(1, (cores or 0) // self.plan.threads, (jobs or 0) * self.size.lanes)

    def collected(self) -> str:
        """Return what stands for the collected results."""
        return self._result(self.plan.collected)

    def _result(self, location: str) -> str:
        """Return a run's manifest; where it is missing, the marker of the batch that makes it."""
        if location in self._missing:
            return self._marker(self._batch_of[location])
        return str(self._finished.path(location) / MANIFEST)

    def _marker(self, batch: Batch) -> str:
        return f"{self._markers(batch.runs[0].stage)}/{batch.name}"

    def _markers(self, stage: str) -> str:
        return f"{self.data}/{_MARKERS}/{stage}"

    def _threads_of_run(self, stage: Stage) -> int:
        return self.plan.threads if stage.trains else 1

    def _lanes(self, stage: Stage, wildcards: Any) -> int:
        runs = len(self._batch(wildcards).runs)
        return min(self.size.lanes, runs) if stage.trains else 1

    def _request(self, run: Run) -> Request:
        """Return what a run asks of other machines."""
        from distillery.costs.requests import request

        return request(run, self._works)

    @cached_property
    def _works(self) -> Works:
        # Networks are built for it: only where their sizes are asked for.
        from distillery.costs.work import Works

        return Works(self.plan, Path(self.data))

    def _batch(self, wildcards: Any) -> Batch:
        return self._batches[wildcards.batch]

    def _to_do(self, batch: Batch) -> list[Run]:
        return [run for run in batch.runs if run.location in self._missing]


def graph(
    configfiles: Iterable[Path],
    config: Mapping[str, Any],
    data: str,
    default: str,
    size: Size,
    *,
    says_notes: bool = False,
) -> Graph:
    """Plan the experiment of the params file that Snakemake was called with.

    A wrong file ends the program with one line and status 2.

    Args:
        configfiles: what ``--configfile`` named.
        config: what ``--config`` set.
        data: the data folder.
        default: params file when none is named.
        size: how many runs a job computes.
        says_notes: whether to print what was found in the data and fitted to them.
    """
    with exit_on_failure():
        planned = loading.load(params_file(configfiles, config, default), Path(data))
        for note in planned.notes if says_notes else ():
            print(f"note: {note}", file=sys.stderr)
        return Graph(planned, data, size)


def size_of_jobs(
    batch: int | None, lanes: int | None, cores: int | None, *, is_first: bool
) -> Size:
    """Return how many runs a job computes: what ``--resources batch=N lanes=N`` said, or as usual.

    Jobs on other machines read the Snakefile again, but not those resources: what holds is handed
    on to them in the environment.

    Args:
        batch: most runs of a job; None for as many as usual, which is one on other machines.
        lanes: how many students a job trains at a time; None for one, as each core has a job.
        cores: cores of this machine; None where other machines have the jobs.
        is_first: whether this is not such a job.
    """
    if not is_first:
        return Size(**json.loads(os.environ[SIZE_OF_JOBS]))
    size = Size(batch or (LARGEST_BATCH if cores else 1), lanes or 1, cores or 1)
    os.environ[SIZE_OF_JOBS] = json.dumps(asdict(size))
    return size


class Console:
    """Shows a call of Snakemake, by those of its log handlers that can show a view.

    Args:
        handlers: Snakemake's log handlers that come from plugins.
        graph: the jobs.
        lanes: how many runs are computed at a time.
        is_dry: whether it is only said what would be done.
    """

    def __init__(self, handlers: Iterable[Any], graph: Graph, lanes: int, *, is_dry: bool) -> None:
        self._view = View(
            graph.plan,
            Path(graph.data),
            Path(LOGS),
            graph.to_do,
            graph.current_page,
            lanes,
            Screen(sys.stdout if is_dry else sys.stderr),
            is_dry=is_dry,
        )
        ours = [handler for handler in handlers if hasattr(handler, "attach")]
        self._is_shown = any(handler.attach(self._view) for handler in ours)

    def begin(self, jobs: Iterable[Any]) -> None:
        """Say which jobs are going to run."""
        if not self._is_shown:
            return
        todo = list(jobs)
        batches = [job.wildcards.batch for job in todo if "batch" in job.wildcards_dict]
        self._view.begin(batches, wants_report=any(job.rule.name == REPORT_RULE for job in todo))

    def report_what_is_there(self, params: Path) -> None:
        """Build the report of what is there after some jobs have failed, and say where it is."""
        if self._view.is_stopping:
            return
        command = [sys.executable, "-m", "distillery", "report", "--params", str(params)]
        done = subprocess.run(command, check=False, stdout=subprocess.PIPE, text=True)
        if not self._is_shown:
            print(done.stdout, end="")
        elif not done.returncode:
            # What is missing was said by the lines of the runs.
            self._view.partial_page = done.stdout.splitlines()[-1]


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

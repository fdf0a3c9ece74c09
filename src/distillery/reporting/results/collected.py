"""The collected results of an experiment, under the names that tables and figures share."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property, wraps
from typing import TYPE_CHECKING, Any, Concatenate, NamedTuple, ParamSpec, TypeVar

import pandas as pd

from distillery.reporting.formatting import axis_titles, distinct
from distillery.reporting.results.collect import (
    CURVES,
    DIAGNOSTICS,
    RECORDS,
    RUNS,
    details_file,
)
from distillery.reporting.settings import ReportSettings
from distillery.reporting.statistics import seeds
from distillery.reporting.statistics.rounding import significant_frame

if TYPE_CHECKING:
    from distillery.runs.artifact import Artifact

LAST = "test_top1"
BEST = "best_test_top1"
COST = ("seconds", "peak_memory_mb", "images_per_second", "device")
# Stands for a method's id in the rows of teachers.
TEACHER = ""

_DIAGNOSTICS = ("run", "epoch", "name", "row", "column", "value")
_MADE = (
    *("run", "settings", "started", "commit", "dirty", "processor", "device", "versions"),
    *("data", "shape", "classes", "train", "validation", "test"),
)
_IDENTITY = ("table", "pair", "method", "title", "variant", "key")
# What imported networks, for example, do not have.
_NUMBERS = (
    *(LAST, BEST, "best_epoch", "epochs", "chance_top1"),
    *("seconds", "peak_memory_mb", "images_per_second"),
)


_Found = TypeVar("_Found")
_Given = ParamSpec("_Given")


class PairNames(NamedTuple):
    """The names of a pair's networks."""

    teacher: str
    student: str

    def __str__(self) -> str:
        return f"{self.teacher} → {self.student}"


def once(
    find: Callable[Concatenate[Results, _Given], _Found],
) -> Callable[Concatenate[Results, _Given], _Found]:
    """Let a function of results compute what it returns once for each of them.

    What it returns is shared: nobody may change it.
    """

    @wraps(find)
    def found(results: Results, /, *given: _Given.args, **named: _Given.kwargs) -> _Found:
        asked = find, given, tuple(named.items())
        if asked not in results.known:
            results.known[asked] = find(results, *given, **named)
        known: _Found = results.known[asked]
        return known

    return found


def records(frame: pd.DataFrame) -> Iterator[Any]:
    """Yield the rows with columns as attributes, whose types no checker knows."""
    return iter(frame.itertuples())


@dataclass(frozen=True)
class AblationResults:
    """The runs of an ablation.

    Attributes:
        title: its caption.
        axes: what is varied: dotted name -> title.
        pair, method: ids of what is varied; empty when they are several, or there are no runs.
        label, subject: the method and the whole in words.
        runs: its rows of the collected runs.
        variants: variant (JSON) -> axis -> value, in the order of the params file; axes that a
            variant leaves as they are have none.
    """

    title: str
    axes: Mapping[str, str]
    pair: str
    method: str
    label: str
    subject: str
    runs: pd.DataFrame
    variants: Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, eq=False)
class Results:
    """All runs and learning curves of an experiment, and the settings of its report."""

    report: ReportSettings
    runs: pd.DataFrame
    curves: pd.DataFrame
    diagnostics: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=_DIAGNOSTICS))
    """What methods logged: run, epoch, name, row, column (-1 where it has none), value."""
    made: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=_MADE))
    """How each network was made, see ``collect``."""
    found: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    """What protocols found beside their metrics, by entry."""
    known: dict[Any, Any] = field(default_factory=dict, init=False)
    """What functions found in these results, see ``once``."""

    @classmethod
    def read(cls, report: ReportSettings, collected: Artifact) -> Results:
        """Read and check the collected tables."""
        runs = _read(collected, RUNS)
        runs = runs.reindex(columns=list(dict.fromkeys([*runs.columns, *_NUMBERS])))
        runs = runs.astype(dict.fromkeys(_NUMBERS, float))
        curves = _read(collected, CURVES)[["run", "phase", "epoch", LAST]]
        # What an untrained classifier says is chance, and no accuracy of the student.
        runs.loc[~runs["classifies"], [LAST, BEST, "best_epoch"]] = math.nan
        curves = curves[curves["run"].isin(runs.loc[runs["classifies"], "run"])]
        more = {"made": pd.read_parquet(collected.file(RECORDS))}
        if DIAGNOSTICS in collected.files:
            more["diagnostics"] = _read(collected, DIAGNOSTICS)
        found = {
            entry: _read(collected, details_file(entry))
            for entry in report.sections
            if details_file(entry) in collected.files
        }
        # A seed that is named twice is one run, not two.
        unique = runs.drop_duplicates([*_IDENTITY], ignore_index=True)
        return cls(report, unique, curves, found=found, **more)

    def details(self, entry: str) -> pd.DataFrame:
        """Return what a protocol found beside its metrics.

        ``run`` is the network's location, ``teacher_key`` names what it was compared with.
        """
        return self.found.get(entry, pd.DataFrame(columns=["run", "teacher_key"]))

    @cached_property
    def teachers(self) -> pd.DataFrame:
        """The teachers' rows."""
        return self._table("teachers")

    @cached_property
    def students(self) -> pd.DataFrame:
        """The students' rows in the comparison."""
        return self._table("main")

    @cached_property
    def labels(self) -> dict[str, str]:
        """Method id -> label: the baseline, the others as in the params file, those of variants."""
        titles = {
            str(method): " / ".join(rows["title"].unique())
            for method, rows in self.students.groupby("method", sort=False)
        }
        for row in records(self.runs[self.runs["method"] != TEACHER]):
            titles.setdefault(str(row.method), str(row.title))
        labels = distinct(titles)
        return dict(sorted(labels.items(), key=lambda item: item[0] != self.baseline))

    @cached_property
    def methods(self) -> dict[str, str]:
        """The labels of the methods whose students have an accuracy in the comparison."""
        compared = set(self.students.loc[self.students[LAST].notna(), "method"])
        return {method: label for method, label in self.labels.items() if method in compared}

    @cached_property
    def pairs(self) -> dict[str, PairNames]:
        """Pair id -> the names of its networks, as in the params file."""
        pairs = {
            name: PairNames(pair.teacher_arch, pair.student_arch)
            for name, pair in self.report.pairs.items()
        }
        named = [*pairs.values()]
        return {
            name: networks
            if named.count(networks) == 1
            else networks._replace(student=f"{networks.student} ({name})")
            for name, networks in pairs.items()
        }

    @cached_property
    def compared(self) -> dict[str, PairNames]:
        """The pairs that have students in the comparison."""
        trained = set(self.students["pair"])
        return {name: networks for name, networks in self.pairs.items() if name in trained}

    @property
    def baseline(self) -> str:
        """Id of the method that gains are measured from."""
        return self.report.baseline

    @property
    def baseline_label(self) -> str:
        """What legends call the baseline."""
        return f"{self.labels.get(self.baseline, self.baseline)} (baseline)"

    @cached_property
    def baselines(self) -> pd.Series:
        """Pair -> mean accuracy of the baseline at the last epoch."""
        rows = self.students[self.students["method"] == self.baseline]
        return seeds.over_seeds(rows, ["pair"], LAST).set_index("pair")["mean"]

    @cached_property
    def summary(self) -> pd.DataFrame:
        """Accuracy by (pair, method): n, mean, std and runs of the last epoch, gain, best epoch.

        Each pair has its teacher first, then every method; those without runs have ``n`` 0.
        """
        teachers = [self.teacher_of(pair).assign(pair=pair) for pair in self.compared]
        networks = pd.concat([*teachers, self.students], ignore_index=True)
        by = ["pair", "method"]
        last = seeds.over_runs(networks, by, LAST)
        last["gain"] = seeds.gain(last, self.baselines)
        best = seeds.over_seeds(networks, by, BEST)
        last = last.set_index(by).assign(best_epoch_mean=best.set_index(by)["mean"])
        order = pd.MultiIndex.from_product([self.compared, [TEACHER, *self.methods]], names=by)
        return last.reindex(order).fillna({"n": 0, "runs": ""}).astype({"n": int})

    @cached_property
    def metrics(self) -> list[str]:
        """The columns ``<protocol>/<metric>`` of protocols that have no section of their own."""
        numeric = self.runs.select_dtypes("number")
        found = [
            name
            for name in numeric.columns
            if "/" in name
            and name.split("/")[0] not in self.report.sections
            and numeric[name].notna().any()
        ]
        # As the protocols list them, where they do.
        known = [name for name in self.report.headings if name in found]
        return [*known, *(name for name in found if name not in known)]

    def means_of(self, pair: str) -> pd.Series:
        """Return the mean accuracies of a pair's networks by method, those that are known."""
        rows = self.summary.reset_index("pair")
        return rows.loc[rows["pair"] == pair, "mean"].dropna()

    @property
    def is_single(self) -> bool:
        """Whether there is one seed of each student of the comparison."""
        return bool(self.summary["n"].max() <= 1)

    def teacher_of(self, pair: str) -> pd.DataFrame:
        """Return the teacher's row of a pair, or no row."""
        keys = self.students.loc[self.students["pair"] == pair, "teacher_key"]
        return self.teachers[self.teachers["key"].isin(keys)].drop_duplicates("key")

    def learning_curves(self) -> pd.DataFrame:
        """Return test accuracy by pair, method and epoch: n, mean, std."""
        proper = self.curves[self.curves["phase"] == "train"]
        curves = self.students[["pair", "method", "run"]].merge(proper, on="run")
        return seeds.over_seeds(curves, ["pair", "method", "epoch"], LAST)

    def ablation(self, name: str) -> AblationResults:
        """Return an ablation, or what a study (few-shot, ensemble) trained."""
        settings = self.report.ablations.get(name) or self.report.sections[name]
        runs = self._table(name)
        pairs, methods = (list(runs[column].unique()) for column in ("pair", "method"))
        labels = [self.labels[method] for method in methods]
        networks = [str(self.pairs.get(pair, pair)) for pair in pairs]
        label = labels[0] if len(labels) == 1 else f"{len(labels)} methods"
        subject = networks[0] if len(networks) == 1 else f"{len(networks)} pairs"
        return AblationResults(
            title=settings.title,
            axes=axis_titles(settings.axes),
            pair=pairs[0] if len(pairs) == 1 else "",
            method=methods[0] if len(methods) == 1 else "",
            label=label,
            subject=f"{label}, {subject}" if len(runs) else "no runs",
            runs=runs,
            variants={text: self._labelled(json.loads(text)) for text in runs["variant"].unique()},
        )

    def _labelled(self, variant: dict[str, Any]) -> dict[str, Any]:
        """Return a variant with the labels of its pair and method, where these are axes."""
        labels: dict[str, Mapping[str, Any]] = {"pair": self.pairs, "method": self.labels}
        return {
            axis: str(labels[axis].get(value, value)) if axis in labels else value
            for axis, value in variant.items()
        }

    def _table(self, name: str) -> pd.DataFrame:
        return self.runs[self.runs["table"] == name].reset_index(drop=True)


def _read(collected: Artifact, name: str) -> pd.DataFrame:
    return significant_frame(pd.read_parquet(collected.file(name)))

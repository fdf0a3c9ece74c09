"""Adopting runs of earlier code: they get the keys of the present one, on trust or after a check.

A run counts as a planned one when it was made with the same settings from the same inputs. Its
settings are read as today's code reads them: what they lack has today's default.
"""

from __future__ import annotations

import json
import random
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from distillery.core.errors import DistilleryError, UserError
from distillery.runs.apart import execute_apart
from distillery.runs.artifact import MANIFEST, Artifact, published
from distillery.runs.comparison import difference
from distillery.runs.produce import RAW, SCRATCH, republish
from distillery.runs.run import Run, key_in
from distillery.runs.stages import STAGES

# It names the keys of what it collects, and says which of them were adopted.
_NOT_ADOPTED = "collect"


@dataclass(frozen=True)
class Check:
    """How to make sure that the present code gives the same results.

    Attributes:
        runs: how many runs of each stage to compute again.
        tolerance: relative difference that is allowed where machines do not give the same bits.
        seed: which runs are drawn.
    """

    runs: int
    tolerance: float = 0.0
    seed: int = 0


@dataclass
class Outcome:
    """What came of an adoption.

    Attributes:
        adopted: old and new location of every adopted run, inputs first.
        measured_again: planned locations that a check leaves out, since they measure time.
        refused: why a stage was not adopted, one line a stage.
    """

    adopted: list[tuple[str, str]] = field(default_factory=list)
    measured_again: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)


def adopt(
    runs: Iterable[Run], data: Path, check: Check | None = None, *, dry_run: bool = False
) -> Outcome:
    """Re-key existing runs to the present code, stage by stage.

    Args:
        runs: the planned runs.
        data: the data folder.
        check: what to compute again; a stage is adopted only if all of that agrees. None: trust.
        dry_run: change nothing but say what would be adopted.

    An old run that would fit but for a setting that the present code does not know is an error,
    and so is one that does not match its manifest.
    """
    adoption, outcome = _Adoption(data), Outcome()
    planned = list(runs)
    for stage in STAGES:
        pairs = adoption.pairs([run for run in planned if run.stage == stage])
        if check:
            outcome.measured_again += [run.location for run, _ in pairs if run.exclusive]
            pairs = [pair for pair in pairs if not pair[0].exclusive]
        checked = None
        if check and pairs:
            drawn = random.Random(check.seed).sample(pairs, min(check.runs, len(pairs)))
            checked = {"of": len(pairs), "checked": len(drawn)}
            try:
                for run, old in drawn:
                    adoption.compare(run, old, check.tolerance)
            except DistilleryError as error:
                outcome.refused.append(f"{stage}: not adopted: {error}")
                continue
        for run, old in pairs:
            outcome.adopted.append((adoption.count_as(run, old), run.location))
            if not dry_run:
                republish(data, old.path, run, checked)
    return outcome


class _Adoption:
    """Knows the runs on disk, and which count as which planned ones."""

    def __init__(self, data: Path) -> None:
        self._data = data
        # Key -> run, of everything that is there.
        self._there = {each.key: each for each in map(Artifact, published(data))}
        self._old: dict[str, list[Artifact]] = {}
        for artifact in sorted(self._there.values(), key=_recency, reverse=True):
            self._old.setdefault(artifact.manifest["stage"], []).append(artifact)
        # Key of a planned run -> keys of what counts as it, the run itself included.
        self._equivalent: dict[str, set[str]] = {}

    def pairs(self, runs: list[Run]) -> list[tuple[Run, Artifact]]:
        """Return the runs of one stage that are not there, each with the latest that fits."""
        for run in runs:
            self._equivalent[run.key] = {run.key}
            if run.key in self._there:
                self.count_as(run, self._there[run.key])
        missing = [run for run in runs if run.key not in self._there]
        found = ((run, self._fitting(run)) for run in missing if run.stage != _NOT_ADOPTED)
        return [(run, old) for run, old in found if old is not None]

    def count_as(self, run: Run, old: Artifact) -> str:
        """Let ``old`` and what it was adopted from count as a planned run; return its location."""
        ancestors = (ancestor["key"] for ancestor in old.manifest["adopted_from"])
        self._equivalent[run.key] |= {old.key, *ancestors}
        return self._location(old)

    def compare(self, run: Run, old: Artifact, tolerance: float) -> None:
        """Compute a run again, from the inputs of the old one, beside the data folder's runs.

        Raises:
            DistilleryError: it fails or differs.
        """
        scratch = self._data / SCRATCH
        scratch.mkdir(parents=True, exist_ok=True)
        inputs = {name: self._present(run, name, old) for name in run.inputs}
        again = replace(run, inputs=inputs, key="")
        with tempfile.TemporaryDirectory(prefix="check-", dir=scratch) as folder:
            for location in {RAW, *inputs.values()}:
                link = Path(folder) / location
                link.parent.mkdir(parents=True, exist_ok=True)
                link.symlink_to((self._data / location).resolve())
            status = execute_apart(Path(folder), again)
            if status:
                raise DistilleryError(f"{old.path}: computing it again ended with status {status}")
            found = difference(old, Artifact(Path(folder) / again.location), tolerance)
        if found:
            raise DistilleryError(f"{old.path}: {found}")

    def _present(self, run: Run, name: str, old: Artifact) -> str:
        """Return the location of an input: the old run's own, or what counts as that.

        Raises:
            UserError: there is neither.
        """
        own = old.manifest["inputs"][name]
        for key in (key_in(own), *sorted(self._equivalent[key_in(run.inputs[name])])):
            if key in self._there:
                return self._location(self._there[key])
        raise UserError(f"{self._data / own}: this input of {old.path} is no more")

    def _location(self, artifact: Artifact) -> str:
        return artifact.path.relative_to(self._data).as_posix()

    def _fitting(self, run: Run) -> Artifact | None:
        """Return the latest run that counts as a planned one.

        Raises:
            UserError: one of the same kind and inputs has a setting that is not known.
        """
        wanted = _as_today(run.stage, run.settings)
        for old in self._old.get(run.stage, []):
            if self._has_same_inputs(run, old.manifest["inputs"]):
                try:
                    settings = _as_today(run.stage, old.manifest["settings"])
                except ValidationError as error:
                    # Otherwise it is most likely something else altogether.
                    if _kind(old.manifest["settings"]) == _kind(run.settings):
                        raise UserError(f"{old.path / MANIFEST}: {_problem(error)}") from None
                    continue
                if settings == wanted:
                    return old
        return None

    def _has_same_inputs(self, run: Run, inputs: Mapping[str, str]) -> bool:
        return run.inputs.keys() == inputs.keys() and all(
            key_in(inputs[name]) in self._equivalent[key_in(location)]
            for name, location in run.inputs.items()
        )


def _recency(artifact: Artifact) -> tuple[str, int]:
    """Return what is the greater the later a run was made; of its adoptions the last counts."""
    manifest = artifact.manifest
    return str(manifest["record"]["started"]), len(manifest["adopted_from"])


def _kind(settings: Mapping[str, Any]) -> list[Any]:
    """Return what tells at a glance what a run is."""
    return [settings.get(name) for name in ("source", "arch", "method", "protocol", "seed")]


def _as_today(stage: str, settings: Mapping[str, Any]) -> str:
    """Return settings as the present code reads them, with all defaults.

    So are those that another run may select: each candidate replaces some of the others. Names have
    one order, which a manifest does not share with a params file.
    """
    kind = STAGES[stage].settings_class()
    read = kind.model_validate(dict(settings)).model_dump(mode="json")
    candidates = read.pop("candidates", [])
    among = (kind.model_validate({**read, **candidate}) for candidate in candidates)
    whole = [read, *(each.model_dump(mode="json") for each in among)]
    return json.dumps(whole, sort_keys=True)


def _problem(error: ValidationError) -> str:
    """Name the first setting that cannot be read."""
    first = error.errors(include_url=False)[0]
    setting = ".".join(map(str, ("settings", *first["loc"])))
    return f"{setting}: {first['msg']}; remove that run, or let it be computed anew"

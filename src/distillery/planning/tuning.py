"""The runs of a tuning: trials, what selects one of them, and what students make of the choice."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from distillery.experiment.errors import KeyPath, ParamsError
from distillery.experiment.experiment import Experiment
from distillery.experiment.overrides import SplitOverride
from distillery.experiment.tuning import Tuning
from distillery.planning import names
from distillery.planning.effects import require_effect_of
from distillery.planning.runs import Runs
from distillery.planning.students import Choice, Student, resolve
from distillery.planning.trials import axes_of_search, bounds, proposals
from distillery.planning.variants import Variant, variant
from distillery.reporting.settings import Selection
from distillery.runs.run import Run
from distillery.training import selection

# So many draws in vain, for each trial that is wanted, mean that there are no more to be had.
_DRAWS = 100


@dataclass(frozen=True)
class _Trial:
    """What is tried: the variant as it was proposed, and the student that it makes in trials."""

    proposed: Variant
    student: Student


class Tunings:
    """Adds the trials of an experiment, and tells which students follow what they find."""

    def __init__(self, experiment: Experiment, runs: Runs) -> None:
        self._experiment = experiment
        self._runs = runs
        self._trials: dict[tuple[str, str], list[_Trial]] = {}
        self._selecting: dict[tuple[str, str], Run] = {}

    def add_all(self) -> tuple[Selection, ...]:
        """Add all trials and what selects among them; mistakes are a ``ParamsError``."""
        tuning = self._experiment.tuning
        if tuning is None:
            return ()
        pairs_and_entries = itertools.product(tuning.pairs, tuning.methods)
        return tuple(self._add(tuning, *each) for each in pairs_and_entries)

    def choice(self, pair_id: str, entry_id: str, varied: Variant | None = None) -> Choice | None:
        """Return what a student of a tuned entry may become; None if the entry is not tuned.

        Args:
            pair_id: id of the student's pair.
            entry_id: id of its method entry.
            varied: what differs in an ablation, which is stronger than what was selected.
        """
        tuning = self._experiment.tuning
        if tuning is None or entry_id not in tuning.methods:
            return None
        tuned_on = tuning.tuned_on(pair_id)
        of_ablation = [varied] if varied else []
        among = [
            resolve(
                self._experiment,
                self._runs.data_sets,
                pair_id,
                entry_id,
                self._in_pair(trial.proposed, pair_id, tuned_on, entry_id),
                *of_ablation,
            )
            for trial in self._trials[tuned_on, entry_id]
        ]
        return Choice(self._selecting[tuned_on, entry_id], tuple(among))

    def _add(self, tuning: Tuning, pair_id: str, entry_id: str) -> Selection:
        search, path = tuning.methods[entry_id], _path(entry_id)
        for bound in bounds(search, path):
            resolve(self._experiment, self._runs.data_sets, pair_id, entry_id, bound)
        trials = self._distinct(tuning, pair_id, entry_id)
        _require_effect(trials, path)
        settings = selection.Settings(
            seeds=tuning.seeds,
            trials=tuple(
                {axis: _value_of(axis, trial.student) for axis in axes_of_search(search, path)}
                for trial in trials
            ),
        )
        inputs = {
            selection.input_name(number, seed): self._runs.trial(trial.student, seed)
            for number, trial in enumerate(trials)
            for seed in tuning.seeds
        }
        run = self._runs.add(
            "select",
            names.joined(names.part(pair_id), names.part(entry_id), "selection"),
            settings.model_dump(mode="json"),
            inputs,
            is_short=True,
        )
        self._trials[pair_id, entry_id] = trials
        self._selecting[pair_id, entry_id] = run
        title = trials[0].student.title
        return Selection(pair=pair_id, method=entry_id, title=title, run=run.location)

    def _distinct(self, tuning: Tuning, pair_id: str, entry_id: str) -> list[_Trial]:
        """Return the trials in their order, those that come to the same settings once.

        Raises:
            ParamsError: there are not so many different ones.
        """
        search, path = tuning.methods[entry_id], _path(entry_id)
        count = search.trials or (None if isinstance(search.vary, list) else tuning.trials)
        proposed = proposals(search, count, entry_id, tuning.seed, path)
        found: dict[str, _Trial] = {}
        for each in itertools.islice(proposed, count and count * _DRAWS):
            student = self._tried(tuning, pair_id, entry_id, each)
            location = self._runs.trial(student, tuning.seeds[0]).location
            found.setdefault(location, _Trial(each, student))
            if len(found) == count:
                break
        if count and len(found) < count:
            raise ParamsError(
                (*path[:-1], "trials"), f"found {count}; only {len(found)} trials differ"
            )
        if len(found) == 1:
            raise ParamsError(path, "nothing is varied; give values that differ from the entry's")
        return [*found.values()]

    def _tried(self, tuning: Tuning, pair_id: str, entry_id: str, proposed: Variant) -> Student:
        """Return the student of a trial: the same as the final one, but for the held-out images.

        Raises:
            ParamsError: its training does not reach the classifier.
        """
        student = resolve(
            self._experiment,
            self._runs.data_sets,
            pair_id,
            entry_id,
            _of_all_trials(tuning, entry_id),
            proposed,
        )
        if not student.trains_classifier:
            raise ParamsError(
                _path(entry_id)[:-1],
                "its training does not reach the classifier, so no accuracy tells what is best",
            )
        student = replace(student, varied=proposed.settings)
        if tuning.teachers == "final" or not student.uses_teacher:
            return student
        for name in student.teachers:
            if self._experiment.teachers[name].checkpoint:
                raise ParamsError(
                    ("tuning", "teachers"),
                    f"teacher '{name}' is imported, and nobody can train it without the held-out "
                    "images; say `final`",
                )
        # The seed of the split decides which images are held out: it has to be the student's.
        split = SplitOverride(validation_fraction=tuning.held_out, seed=student.split.seed)
        return replace(student, split_of_teachers=split)

    def _in_pair(self, proposed: Variant, pair_id: str, tuned_on: str, entry_id: str) -> Variant:
        """Return what was proposed without what the params file sets for a pair of its own."""
        if pair_id == tuned_on:
            return proposed
        pair = self._experiment.pairs[pair_id]
        layers: list[dict[str, Any]] = [
            {"training": pair.training.model_dump(exclude_unset=True)},
            *(
                override.model_dump(exclude_unset=True)
                for name, override in pair.methods.items()
                if name == entry_id
            ),
        ]
        kept = {
            axis: value
            for axis, value in proposed.settings.items()
            if not any(_sets(layer, axis) for layer in layers)
        }
        return variant(kept, proposed.path)


def _of_all_trials(tuning: Tuning, entry_id: str) -> Variant:
    """Return what differs in all trials from final students."""
    training = tuning.training.model_dump(exclude_unset=True)
    settings = {f"training.{name}": value for name, value in training.items()}
    return variant({**settings, "split.validation_fraction": tuning.held_out}, _path(entry_id))


def _require_effect(trials: Sequence[_Trial], path: KeyPath) -> None:
    """Demand of every axis that it changes at least one of the trials that have it.

    Raises:
        ParamsError: it changes none.
    """
    for axis in dict.fromkeys(axis for trial in trials for axis in trial.proposed.settings):
        having = [trial.student for trial in trials if axis in trial.proposed.settings]
        require_effect_of(axis, path, having)


def _path(entry_id: str) -> KeyPath:
    return ("tuning", "methods", entry_id, "vary")


def _value_of(axis: str, student: Student) -> Any:
    """Return what a student has for an axis, also where it was left as it is; None: nothing."""
    value: Any = {
        "options": student.options.model_dump(mode="json"),
        "weights": student.weights.model_dump(mode="json"),
        "training": student.training.model_dump(mode="json"),
        "kd_temperature": student.kd_temperature,
    }
    for part in axis.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _sets(layer: Mapping[str, Any], axis: str) -> bool:
    """Tell whether nested settings have a value at an axis, above it or below."""
    value: Any = layer
    for part in axis.split("."):
        if not isinstance(value, Mapping):
            return True
        if part not in value:
            return False
        value = value[part]
    return True

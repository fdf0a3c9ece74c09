"""The data sets of an experiment, and what is known of them before they are read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from typing import TypeVar

import numpy as np

from distillery.core.errors import UserError
from distillery.core.settings import FrozenModel
from distillery.data.card import Card, Look, Whereabouts
from distillery.data.info import Part
from distillery.data.settings import Augmentation, PrepareSettings, Split
from distillery.data.split import divide
from distillery.evaluation.context import Shape
from distillery.experiment.data import Data
from distillery.experiment.errors import KeyPath, ParamsError, path_of_data
from distillery.experiment.experiment import Experiment
from distillery.experiment.overrides import SplitOverride, TrainingOverride
from distillery.experiment.teachers import Teacher
from distillery.models.base import ModelSpec
from distillery.models.spec import describe
from distillery.planning.merging import merged
from distillery.training.settings import Training

Channels = tuple[int, ...] | None

Model = TypeVar("Model", bound=FrozenModel)

# The number of classes of a folder of images is not known before it is read.
_UNKNOWN_CLASSES = 1


class DataSets:
    """The data sets by id; ``experiment.data.OWN`` is that of the experiment's own."""

    def __init__(self, experiment: Experiment, looks: Mapping[str, Look] | None = None) -> None:
        """Take an experiment, and what was found of its data sets, by id."""
        self._settings = experiment.data_sets
        self._training = experiment.training
        self.looks = dict(looks or {})
        # What was fitted to them, each once, in its order.
        self._fits: dict[str, None] = {}

    def settings(self, name: str) -> Data:
        """Return the settings of a data set."""
        return self._settings[name]

    @property
    def sources(self) -> dict[str, Whereabouts]:
        """Where that is what was looked at."""
        return {name: self.settings(name).origin.whereabouts for name in self.looks}

    @property
    def notes(self) -> tuple[str, ...]:
        """What was found in the data and fitted to them, a line each."""
        found = (
            f"{'.'.join(map(str, path_of_data(name)))}: {note}"
            for name, found in self.looks.items()
            for note in found.notes
        )
        return (*found, *self._fits)

    def prepared(self, name: str) -> PrepareSettings:
        """Return the settings of the run that prepares a data set."""
        found = self.looks.get(name)
        return self.settings(name).origin.prepared(found.contents if found else None)

    def augmentation(self, name: str) -> Augmentation:
        """Return how its training images are varied, with nothing left open."""
        chosen = self.settings(name)
        return chosen.augmentation.resolved(chosen.source)

    def training(self, name: str, overrides: Iterable[TrainingOverride], path: KeyPath) -> Training:
        """Return how networks are trained on a data set.

        Args:
            name: id of the data set.
            overrides: what differs from that for the network, the strongest last.
            path: where the params file has the last of them: a ``ParamsError`` if they do not fit.
        """
        return merged(self._training, [self.settings(name).training, *overrides], path)

    def shape(self, name: str) -> Shape:
        """Return side and channels of the images as far as they are known before they are read."""
        return self.settings(name).known_shape

    def spec(self, arch: str, name: str, channels: Channels = None) -> ModelSpec:
        """Describe a network as far as it is known before the data are read.

        For a folder of images ``num_classes`` and ``parameters`` are not: those of one class.

        Args:
            arch: its architecture.
            name: id of the data set.
            channels: indices of the channels that the network sees; None for all.
        """
        shape = self.shape(name)
        size = shape[0] if shape else self.settings(name).image_size or 32
        depth = len(channels) if channels else self.channels(name) or 3
        side = self.augmentation(name).output_side(size)
        known = self.per_class(name)
        classes = self.settings(name).facts.num_classes or len(known or ()) or _UNKNOWN_CLASSES
        return describe(arch, num_classes=classes, in_channels=depth, image_size=side)

    def channels(self, name: str) -> int | None:
        """Return how many channels the images have, as far as that is known, else None."""
        known, card = self.settings(name).known_channels, self._card(name)
        return known or (card.channels if card else None)

    def per_class(self, name: str, part: Part = "train") -> tuple[int, ...] | None:
        """Return how many images of each class a part has, as far as that is known, else None."""
        card = self._card(name)
        if card:
            return card.per_class[part]
        return self.settings(name).facts.per_class if part == "train" else None

    def trained_on(self, name: str, split: Split) -> tuple[int, ...] | None:
        """Return how many images of each class are trained on, exactly, or None if not known.

        Raises:
            UserError: a class has too few.
        """
        known, card = self.per_class(name), self._card(name)
        if known is None:
            return None
        return _counts(known, split, card.classes if card else tuple(map(str, range(len(known)))))

    def images(self, name: str, split: Split) -> int | None:
        """Return about how many images are trained on, as far as that is known, else None."""
        known, facts = self.per_class(name), self.settings(name).facts
        if known:
            return split.images_per_class * len(known) if split.images_per_class else sum(known)
        of_class = split.images_per_class or facts.smallest_class
        return of_class * facts.num_classes if of_class and facts.num_classes else None

    def check_batches(
        self, name: str, split: Split, training: Training, processes: int, path: KeyPath
    ) -> None:
        """Demand images for one step an epoch, as far as their number is known.

        Raises:
            ParamsError: there are too few.
        """
        counts = self.trained_on(name, split)
        if counts is None:
            return
        total, size, instances = sum(counts), training.batch_size, training.instances
        if total < 2 * processes:
            raise ParamsError(path, f"{total} training images are too few for a step")
        if instances is None and size > total:
            self._fits[
                f"{'.'.join(map(str, path))}.batch_size: {size}, but a step has all of "
                f"{total} training images"
            ] = None
        if instances and sum(count >= instances for count in counts) < size // instances:
            raise ParamsError(
                (*path, "instances"),
                f"found {instances}; a batch of {size} needs {instances} images of each of "
                f"{size // instances} classes, and "
                f"{sum(count >= instances for count in counts)} classes have them",
            )

    def fitted(
        self, options: Model, given: Mapping[str, KeyPath], limits: Mapping[str, int], path: KeyPath
    ) -> Model:
        """Return options that the images allow: defaults are lowered, and that is noted.

        Args:
            options: the options.
            given: name -> where the params file has it, of those that it gives.
            limits: the largest values that are allowed, by name.
            path: where the params file would have the others.

        Raises:
            ParamsError: a given one is beyond its limit.
        """
        for name, most in limits.items():
            value = getattr(options, name)
            if value is None or value <= most:
                continue
            if name in given or most < 1:
                allowed = f"1 to {most}" if most >= 1 else "none"
                raise ParamsError(
                    (*given.get(name, path), name),
                    f"found {value}; there are too few images for it (allowed: {allowed})",
                )
            at = ".".join(map(str, (*path, name)))
            self._fits[f"{at}: {most} in place of {value}, all that the images allow"] = None
            options = options.model_copy(update={name: most})
        return options

    def _card(self, name: str) -> Card | None:
        found = self.looks.get(name)
        return found.card if found else None

    def split(self, name: str, overrides: Iterable[SplitOverride], path: KeyPath) -> Split:
        """Return what of a data set is trained on.

        Args:
            name: id of the data set.
            overrides: what differs from its own split, the strongest last.
            path: where the params file has the last of them: a ``ParamsError`` if a class is known
                to have too few images.
        """
        return self.checked(name, merged(self.settings(name).split, overrides, path), path)

    def checked(self, name: str, split: Split, path: KeyPath) -> Split:
        """Return a split of a data set unless a class is known to have too few images for it.

        Raises:
            ParamsError: it has.
        """
        known = self.per_class(name)
        smallest = min(known) if known else self.settings(name).facts.smallest_class
        try:
            split.check(smallest)
            self.trained_on(name, split)
        except UserError as error:
            raise ParamsError(path, str(error)) from None
        return split


@cache
def _counts(per_class: tuple[int, ...], split: Split, classes: tuple[str, ...]) -> tuple[int, ...]:
    """Return how many images of each class a split leaves for training."""
    labels = np.repeat(np.arange(len(per_class)), per_class)
    chosen, _ = divide(labels, split, classes)
    return tuple(np.bincount(labels[chosen], minlength=len(per_class)).tolist())


def check_channels(experiment: Experiment, data_sets: DataSets) -> None:
    """Raise ``ParamsError`` if images are known to lack channels that networks are to see."""
    teachers = experiment.teachers
    for name, teacher in teachers.items():
        path: KeyPath = ("teachers", name, "channels")
        _check_channels(data_sets, teacher.data_set, teacher.channels, path)
        _check_normalisation(data_sets, name, teacher)
    for name, pair in experiment.pairs.items():
        # Students see the images of their teachers, which have one data set in common.
        data, path = teachers[pair.teachers[0]].data_set, ("pairs", name, "channels")
        _check_channels(data_sets, data, pair.channels, path)


def _check_normalisation(data_sets: DataSets, name: str, teacher: Teacher) -> None:
    own = teacher.own_normalisation
    seen = len(teacher.channels) if teacher.channels else data_sets.channels(teacher.data_set)
    if own and seen and len(own.mean) != seen:
        raise ParamsError(
            ("teachers", name, "normalisation"),
            f"it is of {len(own.mean)} channel(s), but the teacher sees {seen}",
        )


def _check_channels(data_sets: DataSets, name: str, channels: Channels, path: KeyPath) -> None:
    known = data_sets.channels(name)
    missing = [each for each in channels or () if known and each >= known]
    if known and missing:
        found, data = ", ".join(map(str, missing)), name or data_sets.settings(name).source
        allowed = f"0 to {known - 1}" if known > 1 else "0"
        raise ParamsError(
            path, f"found {found}; images of '{data}' have {known} channel(s) (allowed: {allowed})"
        )

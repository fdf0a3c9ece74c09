"""The data sets of an experiment, and what is known of them before they are read."""

from __future__ import annotations

from collections.abc import Iterable

from distillery.core.errors import UserError
from distillery.data.settings import Augmentation, Split
from distillery.evaluation.context import Shape
from distillery.experiment.data import Data
from distillery.experiment.errors import KeyPath, ParamsError
from distillery.experiment.experiment import Experiment
from distillery.experiment.overrides import SplitOverride, TrainingOverride
from distillery.models.base import ModelSpec
from distillery.models.spec import describe
from distillery.planning.merging import merged
from distillery.training.settings import Training

Channels = tuple[int, ...] | None

# The number of classes of a folder of images is not known before it is read.
_UNKNOWN_CLASSES = 1


class DataSets:
    """The data sets by id; ``experiment.data.OWN`` is that of the experiment's own."""

    def __init__(self, experiment: Experiment) -> None:
        self._settings = experiment.data_sets
        self._training = experiment.training

    def settings(self, name: str) -> Data:
        """Return the settings of a data set."""
        return self._settings[name]

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
        classes = self.settings(name).facts.num_classes or _UNKNOWN_CLASSES
        return describe(arch, num_classes=classes, in_channels=depth, image_size=side)

    def channels(self, name: str) -> int | None:
        """Return how many channels the images have, as far as that is known, else None."""
        return self.settings(name).known_channels

    def images(self, name: str, split: Split) -> int | None:
        """Return about how many images are trained on, as far as that is known, else None."""
        facts = self.settings(name).facts
        of_class = split.images_per_class or facts.smallest_class
        return of_class * facts.num_classes if of_class and facts.num_classes else None

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
        smallest = self.settings(name).facts.smallest_class
        try:
            split.check(smallest)
        except UserError as error:
            raise ParamsError(path, str(error)) from None
        return split


def check_channels(experiment: Experiment) -> None:
    """Raise ``ParamsError`` if images are known to lack channels that networks are to see."""
    data_sets, teachers = DataSets(experiment), experiment.teachers
    for name, teacher in teachers.items():
        path: KeyPath = ("teachers", name, "channels")
        _check_channels(data_sets, teacher.data_set, teacher.channels, path)
    for name, pair in experiment.pairs.items():
        # Students see the images of their teachers, which have one data set in common.
        data, path = teachers[pair.teachers[0]].data_set, ("pairs", name, "channels")
        _check_channels(data_sets, data, pair.channels, path)


def _check_channels(data_sets: DataSets, name: str, channels: Channels, path: KeyPath) -> None:
    known = data_sets.channels(name)
    missing = [each for each in channels or () if known and each >= known]
    if known and missing:
        found, data = ", ".join(map(str, missing)), name or data_sets.settings(name).source
        allowed = f"0 to {known - 1}" if known > 1 else "0"
        raise ParamsError(
            path, f"found {found}; images of '{data}' have {known} channel(s) (allowed: {allowed})"
        )

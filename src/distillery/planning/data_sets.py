"""The data sets of an experiment, and what is known of them before they are read."""

from __future__ import annotations

from collections.abc import Iterable

from distillery.core.errors import UserError
from distillery.data.settings import Augmentation, Split
from distillery.data.sources import registry as sources
from distillery.evaluation.context import Shape
from distillery.experiment.params import (
    Data,
    Experiment,
    ParamsError,
    SplitOverride,
    TrainingOverride,
)
from distillery.models.base import ModelSpec, describe
from distillery.planning.merging import Place, merged
from distillery.training.settings import Training

Channels = tuple[int, ...] | None


class DataSets:
    """The data sets by id; None stands for the experiment's own."""

    def __init__(self, experiment: Experiment) -> None:
        self._experiment = experiment

    def settings(self, name: str | None) -> Data:
        """Return the settings of a data set."""
        return self._experiment.datasets[name] if name else self._experiment.data

    def augmentation(self, name: str | None) -> Augmentation:
        """Return how its training images are varied, with nothing left open."""
        chosen = self.settings(name)
        return chosen.augmentation.resolved(chosen.source)

    def training(
        self, name: str | None, overrides: Iterable[TrainingOverride], place: Place
    ) -> Training:
        """Return how networks are trained on a data set.

        Args:
            name: id of the data set.
            overrides: what differs from that for the network, the strongest last.
            place: where the params file has the last of them, for the message.

        Raises:
            ParamsError: the settings do not fit together.
        """
        layers = [self.settings(name).training, *overrides]
        training: Training = merged(self._experiment.training, layers, place)
        return training

    def shape(self, name: str | None) -> Shape:
        """Return side and channels of the images as far as they are known before they are read."""
        return sources.known_shape(self.settings(name).origin)

    def spec(self, arch: str, name: str | None, channels: Channels = None) -> ModelSpec:
        """Describe a network as far as it is known before the data are read.

        Args:
            arch: its architecture.
            name: id of the data set.
            channels: places of the channels that the network sees; None for all.
        """
        shape = self.shape(name)
        size = shape[0] if shape else self.settings(name).image_size or 32
        depth = len(channels) if channels else self.channels(name) or 3
        side = self.augmentation(name).output_side(size)
        return describe(arch, num_classes=10, in_channels=depth, image_size=side)

    def channels(self, name: str | None) -> int | None:
        """Return how many channels the images have, as far as that is known, else None."""
        return sources.known_channels(self.settings(name).origin)

    def split(self, name: str | None, overrides: Iterable[SplitOverride], place: Place) -> Split:
        """Return what of a data set is trained on.

        Args:
            name: id of the data set.
            overrides: what differs from its own split, the strongest last.
            place: where the params file has the last of them, for the message.

        Raises:
            ParamsError: a class is known to have too few images.
        """
        split: Split = merged(self.settings(name).split, overrides, place)
        return self.checked(name, split, place)

    def checked(self, name: str | None, split: Split, place: Place) -> Split:
        """Return a split of a data set unless a class is known to have too few images for it.

        Raises:
            ParamsError: it has.
        """
        smallest = sources.kind(self.settings(name).source).smallest_class
        try:
            split.check(smallest)
        except UserError as error:
            raise ParamsError(place, str(error)) from None
        return split


def check_channels(experiment: Experiment) -> None:
    """Check that images have the channels that teachers and students are to see.

    Raises:
        ParamsError: some are known not to be there.
    """
    data_sets = DataSets(experiment)
    for name, teacher in experiment.teachers.items():
        _check_channels(data_sets, teacher.data, teacher.channels, ("teachers", name, "channels"))
    for name, pair in experiment.pairs.items():
        # Students see the images of their teachers, which have one data set in common.
        data = experiment.teachers[pair.teachers[0]].data
        _check_channels(data_sets, data, pair.channels, ("pairs", name, "channels"))


def _check_channels(
    data_sets: DataSets, name: str | None, channels: Channels, place: Place
) -> None:
    known = data_sets.channels(name)
    missing = [each for each in channels or () if known and each >= known]
    if known and missing:
        found, data = ", ".join(map(str, missing)), name or data_sets.settings(name).source
        allowed = f"0 to {known - 1}" if known > 1 else "0"
        raise ParamsError(
            place, f"found {found}; images of '{data}' have {known} channel(s) (allowed: {allowed})"
        )

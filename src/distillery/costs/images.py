"""How many images of which shape the data sets of a plan have, as far as that is known."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from distillery.data.info import DataSetInfo
from distillery.data.settings import PrepareSettings, Split
from distillery.runs.artifact import Artifact, is_complete, where
from distillery.runs.run import Run

# Training and test images of data sets of one size, for those that are not prepared yet: as their
# authors publish them.
_SIZES = {
    "cifar10": (50_000, 10_000),
    "cifar100": (50_000, 10_000),
    "cinic10": (90_000, 90_000),
    "cinic10-train-valid": (180_000, 90_000),
    "digits": (1_197, 600),
    "imagenet": (1_281_167, 50_000),
    "stl10": (5_000, 8_000),
    "svhn": (73_257, 26_032),
}


@dataclass(frozen=True)
class Images:
    """The images of a data set.

    Attributes:
        train, test: how many there are.
        classes: of how many classes.
        side: pixels along each side.
        channels: channels of each.
    """

    train: int
    test: int
    classes: int
    side: int
    channels: int

    @property
    def bytes(self) -> int:
        """Bytes of all pixels, as they are prepared."""
        return (self.train + self.test) * self.side**2 * self.channels

    def trained_on(self, split: Split) -> int:
        """Return about how many images a split leaves for training."""
        if split.images_per_class is not None:
            return split.images_per_class * self.classes
        return round(self.train * (1 - split.validation_fraction) * split.fraction)


def images_of(prepared: Run, data: Path) -> Images | None:
    """Return what is known of a data set; None if that has to wait until it is prepared.

    Args:
        prepared: the run that prepares it.
        data: the data folder.
    """
    path = where(data, prepared.location)
    if is_complete(path):
        info = DataSetInfo.load(Artifact(path))
        return Images(
            info.counts["train"],
            info.counts["test"],
            len(info.classes),
            info.shape[0],
            info.shape[2],
        )
    source = PrepareSettings.model_validate(prepared.settings)
    size, shape, classes = _SIZES.get(source.source), source.known_shape, source.facts.num_classes
    return Images(*size, classes, *shape) if size and shape and classes else None

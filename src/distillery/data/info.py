"""The description of a prepared data set: what is known downstream without its images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from distillery.core.settings import FrozenModel

if TYPE_CHECKING:
    from distillery.runs.artifact import Artifact

Part = Literal["train", "test"]
INFO = "info.json"


def part_file(part: Part) -> str:
    """Return the name of the file that holds a part, but for images that are streamed."""
    return f"{part}.parquet"


def stream_file(part: Part) -> str:
    """Return the name of the file of a part's images where they are to be streamed."""
    return f"{part}.npy"


class DataSetInfo(FrozenModel):
    """Facts about a prepared data set."""

    name: str
    """Name of the data set."""
    classes: tuple[str, ...]
    """Names of the classes, by label."""
    shape: tuple[int, int, int]
    """Height, width and channels of every image."""
    mean: tuple[float, ...]
    """Mean of each channel over the training part, where pixels range from 0 to 1."""
    std: tuple[float, ...]
    """Standard deviation likewise."""
    counts: dict[Part, int]
    """Images in each part."""
    per_class: dict[Part, tuple[int, ...]]
    """Images in each part of each class."""
    shared: int
    """Test images whose pixels are those of a training image."""
    origin: dict[str, str]
    """Raw file or folder -> SHA-256 of the file, or of the folder's names and contents."""
    notes: tuple[str, ...] = ()
    """What was found, drawn and left out when the raw data were read, a line each."""

    @classmethod
    def load(cls, prepared: Artifact) -> DataSetInfo:
        """Read the description that a run of the stage ``prepare`` holds.

        Raises:
            DamagedArtifact: the file is missing or differs from the manifest.
        """
        return cls.model_validate(prepared.json(INFO))

    def of_channels(self, channels: Sequence[int] | None) -> DataSetInfo:
        """Return the description of images with these channels alone; None for all of them."""
        if channels is None:
            return self
        chosen = {
            "shape": (*self.shape[:2], len(channels)),
            "mean": tuple(self.mean[channel] for channel in channels),
            "std": tuple(self.std[channel] for channel in channels),
        }
        return self.model_copy(update=chosen)

"""Settings of the data layer: where a data set comes from, how it is split and augmented."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator, model_validator

from distillery.data.sources import registry
from distillery.errors import unknown_name
from distillery.schema import Settings


class Source(Settings):
    """Where a data set comes from and what its images are turned into."""

    source: str
    """Id of the source, for example `digits`, `cifar10` or `image-folder`."""
    path: str | None = None
    """File or folder of the raw data, looked up in data/raw and then in the folder that the
    environment variable DISTILLERY_DATA names; the source's usual name when not given."""
    image_size: int | None = Field(default=None, ge=4, le=1024)
    """Resize the images to squares of this many pixels; leave them as they are when not given."""
    channels: Literal[1, 3] | None = None
    """1 for grey images, 3 for colour; as the images are when not given. A folder counts as grey
    when the first training image of each class is grey."""
    sha256: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$")
    """Checksum that the raw archive must have."""

    @field_validator("source")
    @classmethod
    def _known(cls, source: str) -> str:
        if source not in registry.names():
            raise ValueError(str(unknown_name("data source", source, registry.names())))
        return source

    @model_validator(mode="after")
    def _has_files(self) -> Source:
        kind = registry.kind(self.source)
        if kind.built_in and (self.path or self.sha256):
            raise ValueError(f"data source '{self.source}' is built in: leave out path and sha256")
        if not kind.built_in and not kind.places and not self.path:
            raise ValueError(f"data source '{self.source}' needs a path")
        return self


class Split(Settings):
    """What part of the training set is used, and what is held out of it."""

    per_class: int | None = Field(default=None, ge=1)
    """Train on this many images of each class."""
    fraction: float = Field(default=1.0, gt=0, le=1)
    """Train on this share of each class's images."""
    validation_fraction: float = Field(default=0.0, ge=0, lt=1)
    """Share of each class's images that is held out for validation, before `per_class` or
    `fraction` are applied, so that every subset has the same validation set."""
    seed: int = Field(default=0, ge=0, lt=2**32)
    """Seed of the draws."""

    @model_validator(mode="after")
    def _one_size(self) -> Split:
        if self.per_class is not None and self.fraction != 1:
            raise ValueError("per_class and fraction exclude each other")
        return self


class Augmentation(Settings):
    """Random crop after zero padding, and horizontal flip."""

    pad: int = Field(default=4, ge=0, le=32)
    """Pixels added on every side before the crop; 0 for no crop."""
    flip: bool = True
    """Whether images are flipped horizontally, every second time."""

    @property
    def offsets(self) -> int:
        """Number of places of a crop along one axis."""
        return 2 * self.pad + 1

    @property
    def views(self) -> int:
        """Number of distinct views of an image: 162 for a padding of 4 with flips."""
        return self.offsets**2 * (2 if self.flip else 1)

"""Settings of the data layer: where a data set comes from, how it is split and augmented."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal, Self

from pydantic import Field, field_validator, model_validator

from distillery.core.errors import UnknownName, UserError
from distillery.core.settings import FrozenModel
from distillery.data import registry
from distillery.data.card import Whereabouts

if TYPE_CHECKING:
    from distillery.data.raw import SourceFacts

_DRAWS = 2**48
# Settings that mean something to some sources only.
_PARTICULAR = frozenset({"resize", "filter", "background", "parts", "test_fraction", "test_seed"})


class Parts(FrozenModel):
    """Which folders of an image folder are its parts."""

    train: str
    """Folder of the training part."""
    test: str | None = None
    """Folder of the test part; drawn from the training part when not given."""


class Reading(FrozenModel):
    """How raw files become images: with their contents, all that decides what is prepared."""

    source: str
    """Id of the source, for example `digits`, `cifar10` or `image-folder`."""
    image_size: int | None = Field(default=None, ge=4, le=1024)
    """Resize the images to squares of this many pixels; leave them as they are when not given."""
    resize: Literal["squash", "crop"] = "squash"
    """What becomes of images that are no squares: all of them is squeezed into the square, or their
    central square is cut out before it is resized."""
    filter: Literal["area", "nearest", "bilinear", "bicubic", "lanczos"] = "area"
    """Filter of the resizing; all of them with antialiasing, but for `nearest`. `area` averages the
    pixels that become one, as the downsampled ImageNet sets do, and is bilinear where images
    grow."""
    background: str = "white"
    """Colour that transparent images are laid over: a name or `#rrggbb`."""
    channels: Literal[1, 3] | None = None
    """1 for grey images, 3 for colour; as the images are when not given. A folder counts as grey
    when all of its images are grey."""
    colour: Literal["rgb", "lab"] = "rgb"
    """How colours are stored: red, green and blue, or luminance and two channels of chrominance
    (CIE 1976 L*a*b*), so that networks can be shown either alone."""
    parts: Parts | None = None
    """Which folders are the parts of an image folder; found by their usual names when not given."""
    test_fraction: float = Field(default=0.2, gt=0, lt=1)
    """Share of each class's images that is drawn for the test part of an image folder that has
    none."""
    test_seed: int = Field(default=0, ge=0, lt=2**32)
    """Seed of that draw."""
    streamed: bool | None = None
    """Keep the prepared images in such a form that they are read from disk while they are used,
    instead of all at once into memory. When not given: each part that takes more than 4 GiB."""

    @field_validator("source")
    @classmethod
    def _known(cls, source: str) -> str:
        if source not in registry.names():
            raise ValueError(str(UnknownName("data source", source, registry.names())))
        return source

    @field_validator("background")
    @classmethod
    def _is_colour(cls, background: str) -> str:
        from PIL import ImageColor

        try:
            ImageColor.getrgb(background)
        except ValueError:
            raise ValueError(
                f"found '{background}'; allowed are names of colours, as white or black, and "
                "#rrggbb"
            ) from None
        return background

    @model_validator(mode="after")
    def _has_colours(self) -> Self:
        if self.colour == "lab" and self.channels == 1:
            raise ValueError("colour 'lab' needs 3 channels; leave out channels")
        return self

    @model_validator(mode="after")
    def _suits_its_images(self) -> Self:
        side, channels = self.facts.shape or (0, 0)
        if channels > 3 and (self.channels or self.colour != "rgb"):
            raise ValueError(
                f"images of '{self.source}' have {channels} channels, which are not colours alone: "
                "leave out channels and colour"
            )
        if side is None and not self.image_size:
            raise ValueError(f"images of '{self.source}' are no squares: set image_size")
        return self

    @model_validator(mode="after")
    def _is_heeded(self) -> Self:
        for name in _PARTICULAR - self.facts.heeds:
            if getattr(self, name) != type(self).model_fields[name].default:
                raise ValueError(
                    f"{name} has no meaning for the data source '{self.source}'; leave it out"
                )
        return self

    @property
    def facts(self) -> SourceFacts:
        """What is known of the source before its files are read."""
        return registry.facts(self.source)

    @property
    def known_shape(self) -> tuple[int, int] | None:
        """Side length and channels of the images as far as the settings tell, else None."""
        side, _ = self.facts.shape or (None, None)
        side, channels = self.image_size or side, self.known_channels
        return (side, channels) if side and channels else None

    @property
    def known_channels(self) -> int | None:
        """How many channels the images have as far as the settings tell, else None."""
        if self.colour == "lab":
            return 3
        _, channels = self.facts.shape or (None, None)
        return self.channels or channels

    @property
    def reading(self) -> Reading:
        """These settings without what a subclass adds: where files are, or what is in them."""
        return Reading(**self.model_dump(include=set(Reading.model_fields)))


class Source(Reading):
    """Where a data set comes from and what its images are turned into."""

    path: str | None = None
    """File or folder of the raw data, looked up in data/raw and then in the folder that the
    environment variable DISTILLERY_DATA names; the source's usual name when not given. Where it
    lies does not matter for what has been made of it, what is in it does."""
    sha256: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$")
    """Checksum that the raw archive must have."""

    @model_validator(mode="after")
    def _has_files(self) -> Self:
        facts = self.facts
        if facts.built_in and (self.path or self.sha256):
            raise ValueError(f"data source '{self.source}' is built in: leave out path and sha256")
        if not facts.built_in and not facts.paths and not self.path:
            raise ValueError(f"data source '{self.source}' needs a path")
        return self

    @property
    def places(self) -> tuple[str, ...]:
        """Names that the raw data may have, relative to the folders of raw data."""
        return (self.path,) if self.path else self.facts.paths

    @property
    def whereabouts(self) -> Whereabouts:
        """How the raw data are found again."""
        facts = self.facts
        return Whereabouts(
            source=self.source,
            path=self.path,
            places=self.places,
            sha256=self.sha256,
            unused=tuple(sorted(facts.unused)),
            downloaded=facts.downloaded,
            is_looked_at=facts.num_classes is None,
            reading=self.reading.model_dump(mode="json"),
            outside=self.outside,
        )

    @property
    def outside(self) -> dict[str, str]:
        """Where a run of the stage ``prepare`` finds the raw data, if not by their usual names."""
        return {RAW_DATA: self.path} if self.path else {}

    def prepared(self, contents: str | None) -> PrepareSettings:
        """Return the settings of the run that prepares raw data with this digest."""
        return PrepareSettings(**dict(self.reading), contents=contents)


RAW_DATA = "raw"
"""What a run of the stage ``prepare`` calls the place of its raw data."""


class PrepareSettings(Reading):
    """Settings of the stage ``prepare``."""

    contents: str | None
    """Digest of the raw files: names, sizes and contents. None for what is built in, and for what
    is downloaded: its authors' checksums say what that is."""

    def located(self, outside: Mapping[str, str]) -> Source:
        """Return what a run reads, whose ``outside`` says where; see ``Source.outside``."""
        return Source(**dict(self.reading), path=outside.get(RAW_DATA))


class Split(FrozenModel):
    """What part of the training set is used, and what is held out of it."""

    per_class: int | None = Field(default=None, ge=1)
    """Train on this many images of each class."""
    fraction: float = Field(default=1.0, gt=0, le=1)
    """Train on this share of each class's images, or of `per_class`."""
    validation_fraction: float = Field(default=0.0, ge=0, lt=1)
    """Share of each class's images that is held out for validation, before `per_class` or
    `fraction` are applied, so that every subset has the same validation set."""
    seed: int = Field(default=0, ge=0, lt=2**32)
    """Seed of the draws."""

    @model_validator(mode="after")
    def _leaves_images(self) -> Split:
        if self.per_class is not None and self.images_per_class == 0:
            raise ValueError(
                f"a fraction of {self.fraction:g} of per_class {self.per_class} leaves no image"
            )
        return self

    @property
    def images_per_class(self) -> int | None:
        """Training images of each class, where ``per_class`` says how many."""
        return None if self.per_class is None else round(self.per_class * self.fraction)

    def check(self, smallest: int | None) -> None:
        """Compare with the size of the data set's smallest class, if that is known.

        Raises:
            UserError: the class has less than one image in the share, or too few for ``per_class``.
        """
        if smallest is None:
            return
        available = smallest * (1 - self.validation_fraction)
        found = f"the smallest class has {smallest} training images"
        if self.validation_fraction:
            found += f", of which validation takes a share of {self.validation_fraction:g}"
        wanted = self.images_per_class
        if wanted is not None and wanted > available + 0.5:
            raise UserError(f"{wanted} images of each class wanted, but {found}")
        if wanted is None and available * self.fraction < 1:
            raise UserError(f"a fraction of {self.fraction:g} leaves a class empty: {found}")


class Augmentation(FrozenModel):
    """How training images are varied."""

    kind: Literal["crop", "random-resized-crop"] = "crop"
    """Crop of the old size after zero padding, or a box of random area and shape that is resized
    (Szegedy et al. 2015, arXiv:1409.4842; usual for ImageNet)."""
    pad: int = Field(default=4, ge=0, le=32)
    """Pixels added on every side before the crop; 0 for no crop."""
    flip: bool | None = None
    """Whether images are flipped horizontally, every second time. When not given: unless a flip
    would change what the data set's images show, as it would with digits."""
    scale: tuple[float, float] = (0.08, 1.0)
    """Smallest and largest area of a random box, as a share of the image."""
    ratio: tuple[float, float] = (3 / 4, 4 / 3)
    """Smallest and largest width of a random box, divided by its height."""
    size: int | None = Field(default=None, ge=4, le=1024)
    """Pixels along each side to which random boxes are resized; as the image when not given."""

    @model_validator(mode="after")
    def _fits_its_kind(self) -> Augmentation:
        foreign = ("scale", "ratio", "size") if self.kind == "crop" else ("pad",)
        for name in foreign:
            if getattr(self, name) != type(self).model_fields[name].default:
                raise ValueError(f"{name} has no meaning for the kind {self.kind}; leave it out")
        if not 0 < self.scale[0] <= self.scale[1] <= 1:
            raise ValueError(f"scale: found {self.scale}; allowed: 0 < smallest <= largest <= 1")
        if not 0 < self.ratio[0] <= self.ratio[1]:
            raise ValueError(f"ratio: found {self.ratio}; allowed: 0 < smallest <= largest")
        return self

    def resolved(self, source: str) -> Augmentation:
        """Return the augmentation with ``flip`` decided by what is known of a data source.

        Raises:
            UserError: there is no such source.
        """
        flip = registry.facts(source).flips if self.flip is None else self.flip
        return self.model_copy(update={"flip": flip})

    def output_side(self, side: int) -> int:
        """Return the side length of what a network sees of images with sides of ``side``."""
        return self.size or side

    @property
    def flips(self) -> bool:
        """Whether views are flipped; before ``resolved`` as most data sets are."""
        return self.flip is not False

    @property
    def offsets(self) -> int:
        """Number of offsets of a crop along one axis."""
        return 2 * self.pad + 1

    @property
    def views(self) -> int:
        """Number of distinct views of an image: 162 for a padding of 4 with flips.

        Random boxes are not counted but drawn: the number of a view is what theirs are drawn from.
        """
        if self.kind == "random-resized-crop":
            return _DRAWS
        return self.offsets**2 * (2 if self.flips else 1)

"""The section ``teachers``."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from distillery.core.errors import UnknownName
from distillery.core.settings import FrozenModel, Id
from distillery.data.settings import Split
from distillery.experiment.data import OWN
from distillery.experiment.fields import Channels, Seed
from distillery.experiment.overrides import TrainingOverride
from distillery.models.naming import library_of
from distillery.models.settings import Normalisation
from distillery.training.teacher import Start, Trains

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Checkpoint(FrozenModel):
    """A foreign checkpoint (RepDistiller or mdistiller) that serves as teacher."""

    file: str
    """Name of the file, looked up in data/raw and in the folder that DISTILLERY_DATA names."""
    sha256: Sha256
    """Its checksum; `distillery import-teacher` prints it."""
    at_chance: bool = False
    """Take it although it answers no better than chance, which is refused otherwise."""


class StartingWeights(FrozenModel):
    """Weights that a teacher's training starts from, instead of from random ones."""

    file: str
    """Name of the file, looked up in data/raw and in the folder that DISTILLERY_DATA names."""
    sha256: Sha256
    """Its checksum; `sha256sum FILE` prints it."""


_IMAGENET = Normalisation(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
_HALF = Normalisation(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
_NORMALISATIONS = {"data": None, "imagenet": _IMAGENET, "half": _HALF}


def _for_imagenet(arch: str) -> bool:
    """Tell whether weights for an architecture are probably those of ImageNet."""
    return library_of(arch) is not None or arch.startswith("imagenet_")


class Teacher(FrozenModel):
    """One teacher network."""

    arch: str
    """Name of the architecture."""
    data: Id | None = None
    """Id of one of the further `datasets`; the experiment's `data` when not given. Students are
    taught on the data set of their teacher."""
    channels: Channels | None = None
    """Places of the channels of the images that the network sees; all when not given."""
    seed: Seed = 0
    """Seed of initialisation, order and views."""
    training: TrainingOverride = TrainingOverride()
    """What differs from the experiment's training settings."""
    split: Split | None = None
    """What the teacher is trained on, when that is not the students' split: for example `{}`, all
    training images, for students that learn from few."""
    checkpoint: Checkpoint | None = None
    """Import this checkpoint instead of training."""
    weights: StartingWeights | None = None
    """Train from these weights, by the `training` settings: fine-tuning."""
    new_head: bool = False
    """The last layer is a new one, as for weights of other classes; needs `weights`."""
    trains: Trains = "all"
    """Train the whole network or, on the frozen layers of `weights`, the `head` alone: a linear
    probe."""
    normalisation: Normalisation | Literal["data", "imagenet", "half"] | None = None
    """What it sees pixels normalised with: mean and std of the `data`, of ImageNet, one `half`
    each, or `{mean: [...], std: [...]}`, one for each channel. That of the data set when not given;
    weights for ImageNet's images have to say. Students keep that of their data set."""

    @field_validator("normalisation", mode="before")
    @classmethod
    def _known_name(cls, given: Any) -> Any:
        if isinstance(given, str) and given not in _NORMALISATIONS:
            raise ValueError(str(UnknownName("normalisation", given, _NORMALISATIONS)))
        return given

    @property
    def own_normalisation(self) -> Normalisation | None:
        """Mean and deviation that are not those of the data set."""
        if isinstance(self.normalisation, str):
            return _NORMALISATIONS[self.normalisation]
        return self.normalisation

    @property
    def start(self) -> Start | None:
        """What its training starts from; None for a new network."""
        given = self.weights
        if given is None:
            return None
        return Start(
            file=given.file, sha256=given.sha256, new_head=self.new_head, trains=self.trains
        )

    @model_validator(mode="after")
    def _fits(self) -> Teacher:
        if self.checkpoint and self.weights:
            raise ValueError("give a `checkpoint` to import or `weights` to train from, not both")
        if self.new_head and not self.weights:
            raise ValueError("new_head needs `weights`: a new network has a new head anyway")
        if self.trains == "head" and not self.weights:
            raise ValueError("trains: head needs `weights`: a random network would stay random")
        if (
            (self.weights or self.checkpoint)
            and self.normalisation is None
            and _for_imagenet(self.arch)
        ):
            raise ValueError(
                f"weights for '{self.arch}' were trained with a mean and std of their own: say its "
                "normalisation (allowed: imagenet, half, data, or a mean and std)"
            )
        return self

    @property
    def data_set(self) -> str:
        """Id of the data set that it is trained on, ``OWN`` for the experiment's own."""
        return self.data or OWN

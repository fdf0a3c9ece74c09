"""The section ``teachers``."""

from __future__ import annotations

from pydantic import Field

from distillery.core.settings import FrozenModel, Id
from distillery.data.settings import Split
from distillery.experiment.data import OWN
from distillery.experiment.fields import Channels, Seed
from distillery.experiment.overrides import TrainingOverride


class Checkpoint(FrozenModel):
    """A foreign checkpoint (RepDistiller or mdistiller) that serves as teacher."""

    file: str
    """Name of the file, looked up in data/raw and in the folder that DISTILLERY_DATA names."""
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    """Its checksum; `distillery import-teacher` prints it."""


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

    @property
    def data_set(self) -> str:
        """Id of the data set that it is trained on, ``OWN`` for the experiment's own."""
        return self.data or OWN

"""The sections ``data`` and ``datasets``."""

from __future__ import annotations

from functools import cached_property

from distillery.data.settings import Augmentation, Source, Split
from distillery.experiment.overrides import TrainingOverride

OWN = ""
"""Id of the experiment's own data set; no id of ``datasets`` is empty."""


class Data(Source):
    """The data set: where it comes from, how it is split, and how it is augmented."""

    split: Split = Split()
    """What of the training part is used, and what is held out for validation."""
    augmentation: Augmentation = Augmentation()
    """How training images are varied."""
    training: TrainingOverride = TrainingOverride()
    """What differs in the training on this data set."""

    @cached_property
    def origin(self) -> Source:
        """The settings of the data set's source alone."""
        return Source(**self.model_dump(include=set(Source.model_fields)))

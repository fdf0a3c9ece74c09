"""The caches of several teachers, read as one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from distillery.core.errors import DamagedArtifact
from distillery.embeddings.reader import EmbeddingCache, Slot
from distillery.models.base import Outputs


@dataclass(frozen=True)
class JoinedSlot:
    """The slots of several teachers for the same views."""

    slots: tuple[Slot, ...]

    @property
    def views(self) -> Tensor:
        """(N,) int64, view number of each image."""
        return self.slots[0].views

    def rows(self, rows: Tensor) -> Outputs:
        """Return the first teacher's outputs of the images in ``rows`` with the others' in them."""
        first, *others = (slot.rows(rows) for slot in self.slots)
        return first._replace(others=tuple(others))


class JoinedCache:
    """The caches of an ensemble; memory is that of all of them."""

    def __init__(self, caches: Sequence[EmbeddingCache]) -> None:
        self.caches = caches

    def slot(self, number: int, device: torch.device) -> JoinedSlot:
        """Return a slot of every cache.

        Raises:
            DamagedArtifact: they do not show the same views.
        """
        slots = tuple(cache.slot(number, device) for cache in self.caches)
        for cache, slot in zip(self.caches, slots, strict=True):
            if not torch.equal(slot.views, slots[0].views):
                raise DamagedArtifact(f"{cache.artifact.path}: shows other views than the first")
        return JoinedSlot(slots)

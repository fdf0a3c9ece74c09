"""The view schedule: which augmented view of each image belongs to which slot."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from distillery.core.randomness import permuted


@dataclass(frozen=True)
class ViewSchedule:
    """Assigns one of ``views`` views to every image in every slot.

    Over ``views`` slots each image meets each of its views exactly once, in its own random order.

    Attributes:
        views: number of distinct views (162 for crop with padding 4 and flip).
        slots: number of slots, at most ``views``; epoch e shows slot ``e % slots``.
        seed: seed of the orders.
    """

    views: int
    slots: int
    seed: int

    def __post_init__(self) -> None:
        if not 1 <= self.slots <= self.views:
            raise ValueError(f"slots must be between 1 and {self.views}, not {self.slots}")

    def slot_of(self, epoch: int) -> int:
        """Return the slot that an epoch (from 0) shows."""
        return epoch % self.slots

    def view(self, slot: int, index: np.ndarray) -> np.ndarray:
        """Return the view number of each image ``index`` (N,) in ``slot`` as int64 (N,)."""
        return permuted(slot, index, self.views, self.seed, "views")

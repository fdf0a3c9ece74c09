"""Feeds a training loop: the order of the images, their augmented views, and cached targets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from distillery.data.augmentation import augment, decode, normalise
from distillery.data.prepared import Card, ImageSet
from distillery.data.settings import Augmentation
from distillery.embeddings.reader import EmbeddingCache
from distillery.embeddings.views import ViewSchedule
from distillery.methods.base import Batch
from distillery.models.base import Outputs
from distillery.randomness import generator


@dataclass(frozen=True)
class Item:
    """One batch: normalised images (B, C, H, W), their labels, and the cached teacher outputs."""

    images: Tensor
    batch: Batch
    teacher: Outputs | None


class Feed:
    """Serves the batches of an epoch; every epoch is a function of the seed and its number."""

    def __init__(
        self,
        images: ImageSet,
        card: Card,
        augmentation: Augmentation,
        schedule: ViewSchedule,
        *,
        batch_size: int,
        seed: int,
        cache: EmbeddingCache | None = None,
        rank: int = 0,
        processes: int = 1,
    ) -> None:
        self.images = images
        self.card = card
        self.augmentation = augmentation
        self.schedule = schedule
        self.batch_size = batch_size
        self.seed = seed
        self.cache = cache
        self.rank = rank
        self.processes = processes
        self._index = images.index.cpu().numpy()

    @property
    def batches(self) -> int:
        """Number of batches of an epoch.

        A last batch that would leave a process with a single image is dropped, since batch
        normalisation cannot be computed from it.
        """
        full, rest = divmod(len(self._index), self.batch_size)
        return full + (rest >= 2 * self.processes)

    def epoch(self, epoch: int, first_batch: int = 0, steps_before: int = 0) -> Iterator[Item]:
        """Yield the batches of an epoch (from 0), beginning with ``first_batch``.

        Args:
            epoch: number of the epoch.
            first_batch: batches to leave out, when a run is resumed.
            steps_before: optimiser steps of the run before this epoch.
        """
        device = self.images.images.device
        slot = self.schedule.slot_of(epoch)
        views = torch.from_numpy(self.schedule.view(slot, self._index)).to(device)
        targets = self.cache.slot(slot, device) if self.cache else None
        if targets is not None and not torch.equal(targets.views, views):
            raise ValueError("the cached views differ from the run's schedule")
        order = generator(self.seed, "order", epoch).permutation(len(self._index))
        for number in range(first_batch, self.batches):
            chosen = order[number * self.batch_size : (number + 1) * self.batch_size]
            # Every process takes the same number of images, or they would wait for each other.
            chosen = chosen[: len(chosen) // self.processes * self.processes]
            rows = torch.from_numpy(np.ascontiguousarray(chosen[self.rank :: self.processes]))
            rows = rows.to(device)
            batch = Batch(
                position=rows,
                labels=self.images.labels[rows],
                epoch=epoch,
                step=steps_before + number,
            )
            teacher = targets.rows(rows) if targets is not None else None
            yield Item(self._augmented(rows, views[rows]), batch, teacher)

    def _augmented(self, rows: Tensor, views: Tensor) -> Tensor:
        crop = decode(views, self.augmentation)
        pixels = augment(self.images.images[rows], crop, self.augmentation.pad)
        return normalise(pixels, self.card.mean, self.card.std)

"""Loads what a training loop sees: images in their order, augmented, and cached targets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from distillery.data.augmentation import apply_views, crop_parameters, normalise
from distillery.data.prepared import DataSetInfo, ImageSet
from distillery.data.settings import Augmentation
from distillery.embeddings.reader import EmbeddingCache
from distillery.embeddings.views import ViewSchedule
from distillery.methods.base import Batch
from distillery.models.base import Outputs
from distillery.training import sampler


@dataclass(frozen=True)
class Item:
    """One batch.

    Attributes:
        images: (B, C, H, W), normalised.
        batch: their labels and rows.
        teachers: what is cached of each teacher for them; empty without caches.
    """

    images: Tensor
    batch: Batch
    teachers: Sequence[Outputs]


class ViewLoader:
    """Serves the batches of an epoch; every epoch is a function of the seed and its number."""

    def __init__(
        self,
        images: ImageSet,
        info: DataSetInfo,
        augmentation: Augmentation,
        schedule: ViewSchedule,
        *,
        batch_size: int,
        instances: int | None = None,
        seed: int,
        caches: Sequence[EmbeddingCache] = (),
        rank: int = 0,
        processes: int = 1,
    ) -> None:
        self.images = images
        self.info = info
        self.augmentation = augmentation
        self.schedule = schedule
        self.batch_size = batch_size
        self.instances = instances
        self.seed = seed
        self.caches = caches
        self.rank = rank
        self.processes = processes
        self._index = images.index.cpu().numpy()
        self._labels = images.labels.cpu().numpy()

    def batches(self, images: int) -> int:
        """Return the number of batches of an epoch that shows so many images.

        A last batch that would leave a process with a single image is dropped, since batch
        normalisation cannot be computed from it.
        """
        full, rest = divmod(images, self.batch_size)
        return full + (rest >= 2 * self.processes)

    def epoch(self, epoch: int, first_batch: int = 0, steps_before: int = 0) -> Iterator[Item]:
        """Yield the batches of an epoch (from 0), beginning with ``first_batch``.

        Args:
            epoch: number of the epoch.
            first_batch: batches to leave out, when a run is resumed.
            steps_before: optimiser steps of the run before this epoch.

        Raises:
            ValueError: a cache shows other views than the run.
        """
        device = self.images.images.device
        slot = self.schedule.slot_of(epoch)
        views = torch.from_numpy(self.schedule.view(slot, self._index))
        cached = [cache.slot(slot, device) for cache in self.caches]
        if not all(torch.equal(each.views.cpu(), views) for each in cached):
            raise ValueError("the cached views differ from the run's schedule")
        order = sampler.order(self._labels, self.batch_size, self.instances, self.seed, epoch)
        numbers = range(first_batch, self.batches(len(order)))
        shares = [self._share(order, number) for number in numbers]
        supply = self.images.batches(shares)
        for number, share, images in zip(numbers, shares, supply, strict=True):
            rows = share.to(device)
            batch = Batch(
                position=rows,
                labels=self.images.labels[rows],
                epoch=epoch,
                step=steps_before + number,
            )
            teachers = [each.rows(rows) for each in cached]
            yield Item(self._augmented(images, views[share]), batch, teachers)

    def _share(self, order: np.ndarray, number: int) -> Tensor:
        """Return the rows that this process takes of a batch."""
        chosen = order[number * self.batch_size : (number + 1) * self.batch_size]
        # Every process takes the same number of images, or they would wait for each other.
        chosen = chosen[: len(chosen) // self.processes * self.processes]
        return torch.from_numpy(np.ascontiguousarray(chosen[self.rank :: self.processes]))

    def _augmented(self, images: Tensor, views: Tensor) -> Tensor:
        crops = crop_parameters(views, self.augmentation, (images.shape[1], images.shape[2]))
        pixels = apply_views(images, crops, self.augmentation)
        return normalise(pixels, self.info.mean, self.info.std)

"""Loads what a training loop sees: images in their order, augmented, and cached targets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

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
    """Serves the batches of an epoch; every epoch is a function of the seed and its number.

    Raises:
        ValueError: a cache shows other views than the run.
    """

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
        if any(cache.schedule != schedule for cache in caches):
            raise ValueError("the cached views differ from the run's schedule")
        self._index = images.index.cpu().numpy()
        self._labels = images.labels.cpu().numpy()

    def batches(self, images: int) -> int:
        """Return the number of batches of an epoch that shows so many images.

        A last batch that would leave a process with a single image is dropped, since batch
        normalisation cannot be computed from it.
        """
        full, rest = divmod(images, self.batch_size)
        return full + (rest >= 2 * self.processes)

    def epoch(
        self,
        epoch: int,
        first_batch: int = 0,
        steps_before: int = 0,
        following: int | None = None,
    ) -> Iterator[Item]:
        """Yield the batches of an epoch (from 0), beginning with ``first_batch``.

        Args:
            epoch: number of the epoch.
            first_batch: batches to leave out, when a run is resumed.
            steps_before: optimiser steps of the run before this epoch.
            following: the epoch that will come next, for which caches are read meanwhile.
        """
        device = self.images.images.device
        slot = self.schedule.slot_of(epoch)
        ahead = None if following is None else self.schedule.slot_of(following)
        cached = [cache.slot(slot, device, ahead) for cache in self.caches]
        # A cache compares what it reads with its schedule, which is that of the run.
        views = cached[0].views.cpu() if cached else self._views(slot)
        order = torch.from_numpy(
            sampler.order(self._labels, self.batch_size, self.instances, self.seed, epoch)
        )
        numbers = range(first_batch, self.batches(len(order)))
        # Once an epoch, so that no step of it waits for a copy to the device.
        height, width = self.images.images.shape[1:3]
        crops = crop_parameters(views, self.augmentation, (height, width)).to(device)
        shares = self._shares(order.to(device), numbers)
        supply = self.images.batches(self._shares(order, numbers))
        for number, rows, images in zip(numbers, shares, supply, strict=True):
            batch = Batch(
                position=rows,
                labels=self.images.labels[rows],
                epoch=epoch,
                step=steps_before + number,
            )
            teachers = [each.rows(rows) for each in cached]
            pixels = apply_views(images, crops.of(rows), self.augmentation)
            shown = normalise(pixels, self.info.mean, self.info.std)
            yield Item(shown, batch, teachers)

    def _views(self, slot: int) -> Tensor:
        """Return the view of each image (N,) in a slot."""
        return torch.from_numpy(self.schedule.view(slot, self._index))

    def _shares(self, order: Tensor, numbers: range) -> list[Tensor]:
        """Return the rows that this process takes of the batches with these numbers, each (B,)."""
        wholes = [order[each * self.batch_size : (each + 1) * self.batch_size] for each in numbers]
        # Every process takes the same number of images, or they would wait for each other.
        even = [whole[: len(whole) // self.processes * self.processes] for whole in wholes]
        return [whole[self.rank :: self.processes] for whole in even]

"""Reads a teacher cache slot by slot, fetching the next slot while the present one is used."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow.parquet as pq
import torch
from torch import Tensor

from distillery.core.columns import as_matrix
from distillery.core.errors import DamagedArtifact
from distillery.embeddings.embed import Settings
from distillery.embeddings.slots import slot_name, views_of
from distillery.models.base import Outputs

if TYPE_CHECKING:
    from distillery.runs.artifact import Artifact


@dataclass(frozen=True)
class Slot:
    """The teacher's outputs for one view of each training image, in the order of the training set.

    Attributes:
        views: (N,) int64, view number of each image.
        logits: (N, C), in the precision of the cache.
        embedding: (N, D), likewise.
    """

    views: Tensor
    logits: Tensor
    embedding: Tensor

    def rows(self, rows: Tensor) -> Outputs:
        """Return the outputs of the images in ``rows`` (B,) in single precision."""
        return Outputs(self.logits[rows].float(), self.embedding[rows].float())


class EmbeddingCache:
    """An opened teacher cache.

    Memory is bounded by two slots: the one in use and the one being fetched.
    """

    def __init__(self, artifact: Artifact, index: np.ndarray) -> None:
        """Open a cache.

        Args:
            artifact: run of the stage ``embed``.
            index: (N,) images of the training set that will be asked for, in order.
        """
        self.artifact = artifact
        self._settings = Settings.model_validate(artifact.settings)
        self._index = index
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="slot")
        self._next: tuple[int, Future[Slot]] | None = None

    @property
    def arch(self) -> str:
        """The teacher's architecture."""
        return str(self.artifact.json("cache.json")["arch"])

    def slot(self, number: int, device: torch.device) -> Slot:
        """Return a slot on ``device`` and begin to fetch the one after it."""
        if self._next is not None and self._next[0] == number:
            slot = self._next[1].result()
        else:
            slot = self._read(number)
        following = (number + 1) % self._settings.views.slots
        self._next = following, self._pool.submit(self._read, following)
        return Slot(slot.views.to(device), slot.logits.to(device), slot.embedding.to(device))

    def _read(self, number: int) -> Slot:
        path = self.artifact.file(slot_name(number))
        table = pq.read_table(path, memory_map=True, page_checksum_verification=True)
        if not np.array_equal(table["index"].to_numpy(), self._index):
            raise DamagedArtifact(
                f"{path}: holds other images than the training set, or in another order"
            )
        height, width = self.artifact.json("cache.json")["image_shape"]
        try:
            views = views_of(table, self._settings.augmentation, (height, width))
        except DamagedArtifact as error:
            raise DamagedArtifact(f"{path}: {error}") from None
        # Copies, since what is mapped from the file cannot be written to.
        logits, embedding = (
            torch.from_numpy(as_matrix(table[name]).copy()) for name in ("logits", "embedding")
        )
        return Slot(views, logits, embedding)

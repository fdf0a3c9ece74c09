"""Reads a teacher cache slot by slot, fetching the next slot while the present one is used."""

from __future__ import annotations

import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.parquet as pq
import torch
from torch import Tensor

from distillery.core.columns import as_matrix, require_columns
from distillery.core.errors import DamagedArtifact
from distillery.embeddings.embed import Settings
from distillery.embeddings.slots import slot_name, views_of
from distillery.embeddings.views import ViewSchedule
from distillery.models.base import Outputs
from distillery.runs.artifact import remedy
from distillery.runs.run import key_in

if TYPE_CHECKING:
    from distillery.runs.artifact import Artifact

_OUTPUTS = ("logits", "embedding")
# What is held of a file while it becomes a slot.
_READ_BYTES, _READ_ROWS = 2**18, 2**10


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
        return Outputs(
            self.logits.index_select(0, rows).float(), self.embedding.index_select(0, rows).float()
        )


class EmbeddingCache:
    """An opened teacher cache.

    Memory is bounded by two slots: the one in use and the one being fetched.

    Attributes:
        schedule: which views its slots hold.
        waited: seconds that callers of ``slot`` have waited for it so far.
    """

    def __init__(self, artifact: Artifact, index: np.ndarray) -> None:
        """Open a cache.

        Args:
            artifact: run of the stage ``embed``.
            index: (N,) images of the training set that will be asked for, in order.
        """
        self.artifact = artifact
        self.waited = 0.0
        self._settings = Settings.model_validate(artifact.settings)
        views = self._settings.views
        self.schedule = ViewSchedule(self._settings.augmentation.views, views.slots, views.seed)
        self._index = index
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="slot")
        self._ahead: tuple[int, Future[Slot]] | None = None

    @property
    def arch(self) -> str:
        """The teacher's architecture."""
        return str(self._card["arch"])

    def slot(self, number: int, device: torch.device, following: int | None = None) -> Slot:
        """Return a slot on ``device``.

        Args:
            number: which.
            device: where to put it.
            following: the slot that will be asked for next, to be fetched meanwhile; None: none.

        Raises:
            DamagedArtifact: the slot is not what the cache's settings say.
        """
        started = time.perf_counter()
        ahead, self._ahead = self._ahead, None
        if ahead is None or ahead[0] != number:
            ahead = number, self._pool.submit(self._read, number)
        slot = ahead[1].result()
        self.waited += time.perf_counter() - started
        if following == number:
            self._ahead = ahead
        elif following is not None:
            self._ahead = following, self._pool.submit(self._read, following)
        return Slot(slot.views.to(device), slot.logits.to(device), slot.embedding.to(device))

    @cached_property
    def _card(self) -> Any:
        return self.artifact.json("cache.json")

    def _read(self, number: int) -> Slot:
        path = self.artifact.file(slot_name(number))
        # By this thread alone, and by a part at a time.
        with pq.ParquetFile(
            path, pre_buffer=False, buffer_size=_READ_BYTES, page_checksum_verification=True
        ) as file:
            views = self._views(path, number, file)
            outputs = [_matrix(file, name) for name in _OUTPUTS]
        if not all(each.isfinite().all() for each in outputs):
            raise DamagedArtifact(f"{path}: holds outputs that are not finite; make it again")
        return Slot(views, *outputs)

    def _views(self, path: Path, number: int, file: pq.ParquetFile) -> Tensor:
        """Return the views (N,) of a slot, if they are those of the right images."""
        self._require_origin(path, file)
        require_columns(path, file.schema_arrow.names, ("index", *_OUTPUTS))
        others = [name for name in file.schema_arrow.names if name not in _OUTPUTS]
        table = file.read(others, use_threads=False)
        if not np.array_equal(table["index"].to_numpy(), self._index):
            raise DamagedArtifact(
                f"{path}: holds other images than the training set, or in another order"
            )
        height, width = self._card["image_shape"]
        try:
            views = views_of(table, self._settings.augmentation, (height, width))
        except DamagedArtifact as error:
            raise DamagedArtifact(f"{path}: {error}") from None
        if not np.array_equal(views.numpy(), self.schedule.view(number, self._index)):
            raise DamagedArtifact(f"{path}: holds other views than those of slot {number}")
        return views

    def _require_origin(self, path: Path, file: pq.ParquetFile) -> None:
        """Demand that a slot was made of the runs that the manifest names.

        An adopted cache names those of earlier code.
        """
        if self.artifact.manifest["adopted_from"]:
            return
        said = file.schema_arrow.metadata or {}
        for name, location in self.artifact.manifest["inputs"].items():
            found = said.get(name.encode(), b"nothing").decode(errors="replace")
            if found != key_in(location):
                raise DamagedArtifact(
                    f"{path}: was made of the {name} {found}, not of {location}; "
                    f"{remedy(self.artifact.path)}"
                )


def _matrix(file: pq.ParquetFile, name: str) -> Tensor:
    """Return a column of N lists of D numbers as a matrix (N, D).

    Read as a whole it would for a while take twice its memory.
    """
    kind = file.schema_arrow.field(name).type
    shape = file.metadata.num_rows, kind.list_size
    matrix = np.empty(shape, dtype=kind.value_type.to_pandas_dtype())
    start = 0
    for batch in file.iter_batches(_READ_ROWS, columns=[name], use_threads=False):
        matrix[start : start + len(batch)] = as_matrix(batch.column(0))
        start += len(batch)
    return torch.from_numpy(matrix)

"""Images that stay in a file and are read when they are asked for.

``prepare`` writes the images of large parts one after the other into a NumPy file (.npy), so that
where each begins follows from its number.
"""

from __future__ import annotations

import math
import os
import weakref
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from distillery.core.errors import DamagedArtifact


class StoredImages:
    """Some images of a file, to be used like a tensor (N, H, W, C) uint8.

    What is asked for is read into memory and moved to the device; nothing else is held but 8 bytes
    an image. The file is read, not mapped: pages of a mapped one would count as the process's own,
    and each image would drag its neighbours on the disk into memory.

    Attributes:
        shape: (N, H, W, C) as they are handed out.
        stored: (M, H, W, C) of the file.
        device: where images are put.
    """

    def __init__(
        self,
        path: Path,
        index: np.ndarray,
        channels: Sequence[int] | None = None,
        device: torch.device | str = "cpu",
    ) -> None:
        """Open a file.

        Args:
            path: a NumPy file of all images of a part, (M, H, W, C) uint8.
            index: (N,) int64, positions of the images in the file.
            channels: which channels to hand out; all when not given.
            device: where to put what is asked for.

        Raises:
            DamagedArtifact: the file is none of NumPy's, or not of images.
        """
        try:
            # Mapped for a moment, to let NumPy read its header.
            layout = np.lib.format.open_memmap(path, mode="r")
        except ValueError as error:
            raise DamagedArtifact(f"{path}: {error}") from None
        if layout.dtype != np.uint8 or layout.ndim != 4:
            raise DamagedArtifact(f"{path}: holds no images")
        self.device = torch.device(device)
        self._path, self._index, self._channels = path, index, channels
        self.stored: tuple[int, ...] = layout.shape
        kept = self.stored[3] if channels is None else len(channels)
        self.shape = (len(index), *self.stored[1:3], kept)
        self._start = layout.offset
        self._file = os.open(path, os.O_RDONLY)
        weakref.finalize(self, os.close, self._file)

    def __len__(self) -> int:
        return len(self._index)

    def __getitem__(self, rows: Tensor | slice) -> Tensor:
        """Return the images of ``rows`` (B,) or of a slice, (B, H, W, C) uint8 on the device."""
        return self._read(rows).to(self.device)

    def batches(self, rows: Iterable[Tensor]) -> Iterator[Tensor]:
        """Yield the images (B, H, W, C) of each batch of rows (B,), and read those of the next."""
        with ThreadPoolExecutor(max_workers=1, thread_name_prefix="images") as pool:
            ahead = None
            for each in rows:
                behind, ahead = ahead, pool.submit(self._read, each)
                if behind is not None:
                    yield behind.result().to(self.device)
            if ahead is not None:
                yield ahead.result().to(self.device)

    def of_channels(self, channels: Sequence[int]) -> StoredImages:
        """Return the same images with these channels alone."""
        kept = range(self.stored[3]) if self._channels is None else self._channels
        chosen = [kept[channel] for channel in channels]
        return StoredImages(self._path, self._index, chosen, self.device)

    def to(self, device: torch.device | str) -> StoredImages:
        """Return the same images, to be put on ``device``."""
        return StoredImages(self._path, self._index, self._channels, device)

    def _read(self, rows: Tensor | slice) -> Tensor:
        index = self._index[rows if isinstance(rows, slice) else rows.cpu().numpy()]
        images = np.empty((len(index), *self.stored[1:]), dtype=np.uint8)
        offsets = self._start + index * math.prod(self.stored[1:])
        for image, offset in zip(images, offsets.tolist(), strict=True):
            if os.preadv(self._file, [image.data], offset) != image.nbytes:
                raise OSError(f"{self._path}: ends before its images do")
        if self._channels is not None:
            images = images[..., list(self._channels)]
        return torch.from_numpy(images)

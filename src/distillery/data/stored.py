"""Images that stay in the Parquet file of their part and are read when they are asked for.

``prepare`` writes large parts in such a way that this is possible without decoding: uncompressed,
and with a single page a row group, so that the pixels of the group are its last bytes.
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import torch
from torch import Tensor

_LONGEST_HEADER = 48
"""Bytes before the pixels of a page, which are about 30; those of two pages are more."""


class StoredImages:
    """Some images of a file, to be used like a tensor (N, H, W, C) uint8.

    What is asked for is read into memory and moved to the device; nothing else is held but 8 bytes
    an image. The file is read, not mapped, so that its pages do not count as the process's own.
    """

    def __init__(
        self,
        path: Path,
        offsets: np.ndarray,
        shape: tuple[int, int, int],
        channels: Sequence[int] | None = None,
        device: torch.device | str = "cpu",
    ) -> None:
        """Open a file.

        Args:
            path: the Parquet file.
            offsets: (N,) int64, where in the file the pixels of each image begin.
            shape: height, width and channels of every image in the file.
            channels: places of the channels to hand out; all when not given.
            device: where to put what is asked for.
        """
        self.device = torch.device(device)
        self.shape = (len(offsets), *shape[:2], shape[2] if channels is None else len(channels))
        self._path, self._offsets, self._shape, self._channels = path, offsets, shape, channels
        self._file = os.open(path, os.O_RDONLY)
        weakref.finalize(self, os.close, self._file)

    def __len__(self) -> int:
        return len(self._offsets)

    def __getitem__(self, rows: Tensor | slice) -> Tensor:
        """Return the images of ``rows`` (B,) or of a slice, (B, H, W, C) uint8 on the device."""
        return self._read(rows).to(self.device)

    def batches(self, rows: Iterable[Tensor]) -> Iterator[Tensor]:
        """Yield the images of each batch of rows while those of the next one are being read."""
        with ThreadPoolExecutor(max_workers=1, thread_name_prefix="images") as pool:
            ahead = None
            for each in rows:
                behind, ahead = ahead, pool.submit(self._read, each)
                if behind is not None:
                    yield behind.result().to(self.device)
            if ahead is not None:
                yield ahead.result().to(self.device)

    def of_channels(self, places: Sequence[int]) -> StoredImages:
        """Return the same images with these channels alone."""
        kept = range(self._shape[2]) if self._channels is None else self._channels
        chosen = [kept[place] for place in places]
        return StoredImages(self._path, self._offsets, self._shape, chosen, self.device)

    def to(self, device: torch.device | str) -> StoredImages:
        """Return the same images, to be put on ``device``."""
        return StoredImages(self._path, self._offsets, self._shape, self._channels, device)

    def _read(self, rows: Tensor | slice) -> Tensor:
        chosen = rows if isinstance(rows, slice) else rows.cpu().numpy()
        offsets = self._offsets[chosen]
        images = np.empty((len(offsets), *self._shape), dtype=np.uint8)
        for image, offset in zip(images, offsets.tolist(), strict=True):
            if os.preadv(self._file, [image.data], offset) != image.nbytes:
                raise OSError(f"{self._path}: ends before its images do")
        if self._channels is not None:
            images = images[..., list(self._channels)]
        return torch.from_numpy(images)


def offsets_of(file: pq.ParquetFile, image_bytes: int) -> np.ndarray | None:
    """Return where in a file the pixels of each image begin, (N,) int64.

    None when they do not lie in it as such, so that the file has to be decoded.
    """
    starts = []
    for number in range(file.num_row_groups):
        group = file.metadata.row_group(number)
        column = group.column(file.schema_arrow.names.index("image"))
        header = column.total_compressed_size - group.num_rows * image_bytes
        if column.compression != "UNCOMPRESSED" or not 0 < header < _LONGEST_HEADER:
            return None
        first = column.data_page_offset + header
        starts.append(first + np.arange(group.num_rows, dtype=np.int64) * image_bytes)
    return np.concatenate(starts) if starts else None

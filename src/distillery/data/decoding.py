"""Decodes many images group by group, on several cores, in their order and in bounded memory."""

from __future__ import annotations

import math
import mmap
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from distillery.core.processes import mapping

Learned = TypeVar("Learned")

# Images that a process decodes at a time: few enough that all end together.
_SHARE = 256
_SHARES_A_PROCESS = 4


@dataclass(frozen=True)
class Images:
    """What is to be decoded.

    Attributes:
        decode: returns the image (H, W, C) uint8 of a number from 0.
        count: number of images.
        shape: height, width and channels of each.
    """

    decode: Callable[[int], np.ndarray]
    count: int
    shape: tuple[int, int, int]


def decoded_groups(
    images: Images, rows: int, learn: Callable[[np.ndarray], Learned], processes: int
) -> Iterator[tuple[int, np.ndarray, list[Learned]]]:
    """Yield groups of decoded images in order.

    With several processes two groups are in memory: while one is used, the next is decoded.

    Args:
        images: what to decode.
        rows: images of a group.
        learn: what to find out about some images (n, H, W, C), where they are decoded.
        processes: how many share the work.

    Yields:
        The number of the first image; the images (n, H, W, C) uint8, which are overwritten later;
        and what was learned of them, part by part.
    """
    count, shape = images.count, images.shape
    # Shared with the processes, which write what they decode to where it is used.
    buffers = [
        np.frombuffer(mmap.mmap(-1, max(1, min(rows, count) * math.prod(shape))), dtype=np.uint8)
        for _ in range(min(processes, 2))
    ]
    share = min(_SHARE, -(-rows // (_SHARES_A_PROCESS * processes)))

    def group(start: int) -> np.ndarray:
        size = min(rows, count - start)
        buffer = buffers[start // rows % len(buffers)]
        return buffer[: size * math.prod(shape)].reshape(size, *shape)

    def decode_some(first: int) -> Learned:
        start = first // rows * rows
        some = group(start)[first - start : first - start + share]
        for offset, place in enumerate(some):
            place[:] = images.decode(first + offset)
        return learn(some)

    with mapping(decode_some, processes) as over:

        def begun(start: int) -> Iterator[Learned]:
            return over(range(start, min(start + rows, count), share))

        ahead = begun(0)
        for start in range(0, count, rows):
            learned, ahead = ahead, begun(start + rows)
            yield start, group(start), list(learned)

"""How far apart the spatial maps of the layers of two networks are (AFD, Ji et al., AAAI 2021)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

Resize = Callable[[Tensor, int, int], Tensor]


def layer_distances(
    students: Sequence[Tensor], teachers: Sequence[Tensor], resize: Resize
) -> Tensor:
    """Return the mean squared difference of each teacher's and each student's map.

    The student's maps are brought to the size of the teacher's first; then each map is divided by
    its L2 norm. Differences are expanded into inner products, so that the largest arrays are the
    students' maps at each size of a teacher's.

    Args:
        students: S maps (B, h, w) of any sizes.
        teachers: T maps (B, h, w) likewise.
        resize: brings maps (B, S, h, w) to a height and width.

    Returns:
        (B, T, S).
    """
    rows: list[Tensor] = []
    for size, group in _by_size(teachers).items():
        theirs = _unit(torch.stack([teachers[place] for place in group], dim=1))
        ours = _unit(_resized(students, size, resize))
        squares = theirs.square().sum(2)[:, :, None] + ours.square().sum(2)[:, None]
        rows.append((squares - 2 * theirs @ ours.mT) / ours.shape[2])
    order = [place for group in _by_size(teachers).values() for place in group]
    places = torch.tensor(order, device=rows[0].device).argsort()
    return torch.cat(rows, dim=1).index_select(1, places)


def _by_size(maps: Sequence[Tensor]) -> dict[tuple[int, int], list[int]]:
    """Return the places of the maps of each height and width."""
    groups: dict[tuple[int, int], list[int]] = {}
    for place, each in enumerate(maps):
        groups.setdefault((each.shape[1], each.shape[2]), []).append(place)
    return groups


def _resized(maps: Sequence[Tensor], size: tuple[int, int], resize: Resize) -> Tensor:
    """Return the maps (B, h, w), of several sizes, as one array (B, S, *size)."""
    return torch.cat([resize(each[:, None], *size) for each in maps], dim=1)


def _unit(maps: Tensor) -> Tensor:
    """Flatten maps (B, N, h, w) to (B, N, h * w) of unit length; zeros stay zeros."""
    return F.normalize(maps.flatten(2), dim=2)

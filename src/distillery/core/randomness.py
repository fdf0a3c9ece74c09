"""Counter-based randomness: every draw is a function of (seed, purpose, counters).

Nothing keeps a running generator state, so results do not depend on the number of workers or
processes, on the order in which jobs run, or on an interruption.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch

# Enough rounds that no element prefers a position: tests compare the counts with a uniform draw.
_SHUFFLE_ROUNDS = 40


def seed_for(seed: int, purpose: str, *counters: int) -> int:
    """Derive a 63-bit seed for one ``purpose`` (for example ``"order"``) and its counters."""
    text = f"{seed}/{purpose}/" + "/".join(str(counter) for counter in counters)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little") >> 1


def generator(seed: int, purpose: str, *counters: int) -> np.random.Generator:
    """Return a NumPy generator that depends on nothing but its arguments."""
    return np.random.Generator(np.random.Philox(key=seed_for(seed, purpose, *counters)))


def torch_generator(
    seed: int, purpose: str, *counters: int, device: torch.device | str = "cpu"
) -> torch.Generator:
    """Return a torch generator on ``device`` that depends on nothing but its arguments."""
    import torch

    return torch.Generator(device=device).manual_seed(seed_for(seed, purpose, *counters))


def mix(values: np.ndarray) -> np.ndarray:
    """Hash 64-bit integers elementwise (the SplitMix64 finaliser, Steele et al. 2014)."""
    mixed = values.astype(np.uint64)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))


def permuted(position: int, index: np.ndarray, size: int, seed: int, purpose: str) -> np.ndarray:
    """Return, for every item, the element at ``position`` of the item's own permutation.

    Each entry of ``index`` names an item with its own pseudo-random permutation of
    ``range(size)``. Only the asked position is computed (the swap-or-not shuffle of Hoang, Morris
    and Rogaway 2012), so memory is proportional to the number of items, not to ``size``.

    Args:
        position: which position of the permutations, ``0 <= position < size``.
        index: item numbers, shape (N,).
        size: length of the permutations.
        seed: seed of the permutations.
        purpose: what they are for; other purposes have other permutations.

    Returns:
        int64 array of shape (N,), values in ``range(size)``.
    """
    items = mix(index.astype(np.uint64) + np.uint64(seed_for(seed, purpose)))
    value = np.full(index.shape, position, dtype=np.uint64)
    for round_number in range(_SHUFFLE_ROUNDS):
        salt = mix(items + np.uint64(2 * round_number))
        partner = (salt % np.uint64(size) + np.uint64(size) - value) % np.uint64(size)
        larger = np.maximum(value, partner)
        coin = mix(larger + mix(items + np.uint64(2 * round_number + 1))) & np.uint64(1)
        value = np.where(coin == 1, partner, value)
    return value.astype(np.int64)

"""How the weight of a method's loss changes over the epochs."""

from __future__ import annotations


def warmup_share(epoch: int, epochs: int) -> float:
    """Return the share of its weight that a loss has in an epoch, counted from 0.

    It grows linearly over so many ``epochs`` to 1, and with 0 of them is 1 from the start.
    """
    return min((epoch + 1) / max(epochs, 1), 1.0)

"""Which of the allowed negatives an anchor is contrasted with: the hard ones.

Hardness is the cosine to the anchor.
"""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from distillery.core.settings import FrozenModel


class SelectionOptions(FrozenModel):
    """Which negatives count."""

    top_k: Annotated[int, Field(ge=1)] | Literal["all"] = "all"
    """Synthetic negatives count if they are among so many hardest, real ones included; real ones
    always count."""
    skip_easy: bool = False
    """Whether synthetic negatives easier than the anchor's median real one are left out."""
    hardest_only: bool = False
    """Whether the single hardest negative counts alone, real or synthetic (Embedding Expansion)."""


def select(
    real: Tensor,
    synthetic: Tensor,
    is_real: Tensor,
    is_synthetic: Tensor,
    options: SelectionOptions,
) -> tuple[Tensor, Tensor]:
    """Return which real and which synthetic points are negatives, (B, N) and (B, K) bool.

    Args:
        real: (B, N) cosines to the anchors.
        synthetic: (B, K) cosines to the anchors.
        is_real: (B, N) bool, the allowed ones.
        is_synthetic: (B, K) bool, the allowed ones.
        options: the rules.
    """
    if options.skip_easy:
        is_synthetic = is_synthetic & (synthetic >= _median(real, is_real))
    if options.top_k != "all":
        _, is_hard = hardest(real, synthetic, is_real, is_synthetic, options.top_k)
        is_synthetic = is_synthetic & is_hard
    if options.hardest_only:
        return hardest(real, synthetic, is_real, is_synthetic, 1)
    return is_real, is_synthetic


def hardest(
    real: Tensor, synthetic: Tensor, is_real: Tensor, is_synthetic: Tensor, count: int
) -> tuple[Tensor, Tensor]:
    """Return which points are among the ``count`` hardest of each anchor, (B, N) and (B, K) bool.

    Arguments as in ``select``.
    """
    allowed = torch.cat((is_real, is_synthetic), dim=1)
    cosines = torch.cat((real, synthetic), dim=1).masked_fill(~allowed, -torch.inf)
    chosen = cosines.topk(min(count, cosines.shape[1]), dim=1).indices
    is_hard = torch.zeros_like(allowed).scatter_(1, chosen, True) & allowed
    return is_hard[:, : real.shape[1]], is_hard[:, real.shape[1] :]


def _median(values: Tensor, allowed: Tensor) -> Tensor:
    """Return the lower median of each row's allowed values, (B, 1); -inf where there is none."""
    return (
        values.masked_fill(~allowed, torch.nan)
        .nanmedian(dim=1, keepdim=True)
        .values.nan_to_num(nan=-torch.inf)
    )

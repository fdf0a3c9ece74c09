"""A projection head that is 1-Lipschitz."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from distillery.methods.parts.precision import upcast


class LipschitzHead(nn.Module):
    """A linear map of spectral norm 1, followed by the projection onto the unit ball.

    Neither step enlarges a distance; dividing by the L2 norm instead would, near zero. The norm of
    the linear map is kept at 1 by one power iteration a training step (Miyato et al., ICLR 2018,
    arXiv:1802.05957).
    """

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__()
        self.linear = spectral_norm(nn.Linear(in_features, out_features))

    def forward(self, embedding: Tensor) -> Tensor:
        """Map (B, in_features) to vectors (B, out_features) of length at most 1."""
        mapped = self.linear(upcast(embedding))
        return mapped / mapped.norm(dim=1, keepdim=True).clamp_min(1.0)

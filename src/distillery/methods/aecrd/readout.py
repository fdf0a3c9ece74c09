"""The teacher's classifier, recovered from what its cache has: embeddings and logits.

The last layer of every model is linear, ``logits = W embedding + b``. So W and b follow from pairs
of the two by least squares: the normal equations are summed over the first batches and solved
once. Among embeddings like those that were seen the solution gives the teacher's logits, up to the
precision of the cache, also where units that are never active leave W undetermined.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# Rows for each unknown of a class before the equations are solved.
_ROWS = 4


class LinearReadout(nn.Module):
    """Least squares from embeddings (D) to logits (C), in double precision.

    Attributes:
        gram: (D + 1, D + 1) sum of products of the embeddings with a 1 at their end.
        moment: (D + 1, C) sum of their products with the logits.
        rows: how many were seen.
        solution: (D + 1, C), W transposed above b; 0 until it is known.
    """

    gram: Tensor
    moment: Tensor
    rows: Tensor
    solution: Tensor

    def __init__(self, dim: int, classes: int) -> None:
        super().__init__()
        self.register_buffer("gram", torch.zeros(dim + 1, dim + 1, dtype=torch.float64))
        self.register_buffer("moment", torch.zeros(dim + 1, classes, dtype=torch.float64))
        self.register_buffer("rows", torch.zeros((), dtype=torch.int64))
        self.register_buffer("solution", torch.zeros(dim + 1, classes))

    @property
    def is_known(self) -> bool:
        """Whether enough rows were seen, so that the equations are solved."""
        return int(self.rows) >= _ROWS * len(self.gram)

    @torch.no_grad()
    def observe(self, embedding: Tensor, logits: Tensor) -> None:
        """Take in embeddings (B, D) and their logits (B, C) until they are enough."""
        if self.is_known:
            return
        rows = F.pad(embedding.double(), (0, 1), value=1.0)
        self.gram += rows.T @ rows
        self.moment += rows.T @ logits.double()
        self.rows += len(rows)
        if self.is_known:
            inverse = torch.linalg.pinv(self.gram, hermitian=True)
            self.solution.copy_(inverse @ self.moment)

    def forward(self, embedding: Tensor) -> Tensor:
        """Map embeddings (..., D) to logits (..., C)."""
        return embedding @ self.solution[:-1] + self.solution[-1]

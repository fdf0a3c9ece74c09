"""CRD's scores of one direction at B = 64, n = 50,000, K = 16,384, D = 128, with gradient."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from timing import compare

BATCH, POPULATION, NEGATIVES, DIM = 64, 50_000, 16_384, 128


def main() -> None:
    torch.set_num_threads(1)
    bank = F.normalize(torch.randn(POPULATION, DIM), dim=1)
    index = torch.randint(0, POPULATION, (BATCH, NEGATIVES + 1))
    anchors = F.normalize(torch.randn(BATCH, DIM), dim=1).requires_grad_()

    def product_and_pick() -> torch.Tensor:
        return (anchors @ bank.T).gather(1, index)

    def gather_rows() -> torch.Tensor:
        rows = bank[index.flatten()].view(BATCH, NEGATIVES + 1, DIM)
        return torch.bmm(rows, anchors[:, :, None])[:, :, 0]

    torch.testing.assert_close(product_and_pick(), gather_rows(), rtol=1e-4, atol=1e-5)
    compare(
        {
            "product and pick": lambda: product_and_pick().sum().backward(),
            "gather (B, K + 1, D)": lambda: gather_rows().sum().backward(),
        },
        rounds=7,
    )


if __name__ == "__main__":
    main()

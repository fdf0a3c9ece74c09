"""A network whose head is another network's (SimKD: Chen et al., CVPR 2022, arXiv:2203.14001).

Its name is that of the trunk with a suffix: ``resnet8x4_head256f2`` is resnet8x4, whose last map a
bottleneck of factor 2 brings to 256 channels for a head of that width, and ``..f2s4`` first pools
the map to 4 x 4. Such names are made by methods, not written in params files.
"""

from __future__ import annotations

from torch import Tensor, nn

from distillery.models.base import Classifier, FeatureRecorder
from distillery.models.resizing import pool_to


class ReusedHead(Classifier):
    """The trunk of a network, a bottleneck, and a head of another width."""

    head_path = "head_layer"

    def __init__(
        self,
        network: Classifier,
        num_classes: int,
        dim: int,
        factor: int,
        side: int | None = None,
    ) -> None:
        """Put the bottleneck and the head behind a trunk.

        Args:
            network: where the trunk comes from; its own head goes.
            num_classes: number of logits.
            dim: width of the head.
            factor: the bottleneck has ``dim // factor`` channels.
            side: height and width to which a larger map is pooled; None for the map as it is.
        """
        super().__init__()
        self.bottleneck = bottleneck(network.embedding_dim, dim, factor)
        *path, name = network.head_path.split(".")
        setattr(network.get_submodule(".".join(path)), name, nn.Identity())
        self.network = network
        self.side = side
        self.head_layer = nn.Linear(dim, num_classes)

    def trunk(self, images: Tensor, recorder: FeatureRecorder) -> Tensor:
        """Map images (B, channels, H, W) to the map (B, dim, h, w) that the head is trained for."""
        last = self.network.trunk(images, recorder)
        if self.side and last.shape[2] > self.side:
            last = pool_to(last, self.side, self.side)
        mapped: Tensor = self.bottleneck(last)
        return mapped


def bottleneck(in_channels: int, out_channels: int, factor: int) -> nn.Sequential:
    """Return 1x1, 3x3 and 1x1 convolutions, (B, in_channels, h, w) -> (B, out_channels, h, w)."""
    hidden = max(out_channels // factor, 1)
    widths = ((in_channels, hidden, 1), (hidden, hidden, 3), (hidden, out_channels, 1))
    layers: list[nn.Module] = []
    for before, after, kernel in widths:
        layers += [
            nn.Conv2d(before, after, kernel, padding=kernel // 2, bias=False),
            nn.BatchNorm2d(after),
            nn.ReLU(inplace=True),
        ]
    return nn.Sequential(*layers)

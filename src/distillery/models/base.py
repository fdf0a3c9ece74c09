"""What a classifier is: what it returns, and what is known of it before it is built.

A family is one file in this folder with a literal dict ``ARCHITECTURES`` (name -> its settings)
and a function ``build(arch, *, num_classes, in_channels) -> Classifier``; nothing else lists its
names.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn

from distillery.core.errors import UserError

EVERYTHING = frozenset(
    {
        "logits",
        "embedding",
        "classifier",
        "features",
        "preactivations",
        "blocks",
        "last_map",
        "class_maps",
    }
)
"""All that a network can supply: ``Outputs``, and its last layer."""

BlockHook = Callable[[Tensor], tuple[Tensor, ...]]
"""Gets the output (B, c, h, w) of a block; what it returns is kept instead."""


class Outputs(NamedTuple):
    """What a network gives for a batch of B images.

    ``features``, ``preactivations`` and ``blocks`` are each empty unless asked for, ``last_map``
    and ``class_maps`` None. The entries of the first two correspond and have equal shapes; entry 0
    is the stem, and the same in both. A preactivation rectified is its feature, except in WRN,
    MobileNetV2 and ShuffleNetV2: see their modules.
    """

    logits: Tensor
    """(B, C)."""
    embedding: Tensor
    """(B, D), pooled penultimate features, which the head maps to the logits."""
    features: tuple[Tensor, ...] = ()
    """Stage maps (B, c, h, w), from the stem to the deepest."""
    preactivations: tuple[Tensor, ...] = ()
    """The same maps before their ReLU."""
    blocks: tuple[Tensor, ...] = ()
    """Outputs (B, c, h, w) of all residual blocks (VGG: of all convolutions) after their ReLU."""
    last_map: Tensor | None = None
    """(B, D, h, w), the map whose mean over the positions is the embedding."""
    class_maps: Tensor | None = None
    """(B, C, h, w), the head's weights applied at each position, without its bias."""


@dataclass(frozen=True)
class ModelSpec:
    """What is known of a network without its weights.

    Attributes:
        arch: name of the architecture.
        num_classes: number of logits C.
        in_channels: channels of the images.
        image_size: height and width of the images.
        embedding_dim: length D of the embedding.
        feature_shapes: (c, h, w) of each stage map, as ordered in ``Outputs.features``.
        parameters: number of parameters.
        block_shapes: (c, h, w) of each block's output, as ordered in ``Outputs.blocks``.
        map_shape: (D, h, w) of ``Outputs.last_map``; None if it has no such map.
        supplies: what methods can have of it; see ``Classifier.supplies``.
    """

    arch: str
    num_classes: int
    in_channels: int
    image_size: int
    embedding_dim: int
    feature_shapes: tuple[tuple[int, int, int], ...]
    parameters: int
    block_shapes: tuple[tuple[int, int, int], ...] = ()
    map_shape: tuple[int, int, int] | None = None
    supplies: frozenset[str] = EVERYTHING


class FeatureRecorder:
    """Keeps the maps that were asked for during one forward pass, and no others."""

    def __init__(self, *, features: bool, preactivations: bool, blocks: bool | BlockHook) -> None:
        self.wants_features = features
        self.wants_preactivations = preactivations
        self.wants_blocks = blocks
        self.features: list[Tensor] = []
        self.preactivations: list[Tensor] = []
        self.blocks: list[Tensor] = []

    def record(self, feature: Tensor, preactivation: Tensor | None = None) -> None:
        """Keep a stage map (B, c, h, w) and its preactivation, which is the map if not given."""
        if self.wants_features:
            self.features.append(feature)
        if self.wants_preactivations:
            self.preactivations.append(feature if preactivation is None else preactivation)

    def record_block(self, output: Tensor) -> None:
        """Keep the output (B, c, h, w) of a block, or what the hook makes of it."""
        if callable(self.wants_blocks):
            self.blocks.extend(self.wants_blocks(output))
        elif self.wants_blocks:
            self.blocks.append(output)


class Classifier(nn.Module):
    """A trunk that makes a map of the image, global average pooling, and a linear head.

    A family defines ``trunk``, ``head_path`` and, where OFD is defined, ``preactivation_norms``. A
    network whose embedding is no mean of a map defines ``encode`` instead of ``trunk``.
    """

    head_path: str
    """Dotted path of the final linear layer within the state dict."""
    supplies: frozenset[str] = EVERYTHING
    """What methods can have of it: fields of ``Outputs``, and ``classifier``, its last layer."""

    def trunk(self, images: Tensor, recorder: FeatureRecorder) -> Tensor:
        """Map images (B, channels, H, W) to the map (B, D, h, w) to pool, recording the stages."""
        raise NotImplementedError

    def encode(self, images: Tensor, recorder: FeatureRecorder) -> tuple[Tensor | None, Tensor]:
        """Map images (B, channels, H, W) to the last map (B, D, h, w) and the embedding (B, D).

        There is no last map, but None, where the embedding is not its mean over the positions.
        """
        last = self.trunk(images, recorder)
        return last, last.mean((2, 3))

    def forward(
        self,
        images: Tensor,
        *,
        features: bool = False,
        preactivations: bool = False,
        blocks: bool | BlockHook = False,
        last_map: bool = False,
        class_maps: bool = False,
    ) -> Outputs:
        """Classify images (B, channels, H, W) of any size, with the maps that are asked for.

        ``blocks`` may be a function: the tensors it returns are then kept instead of each block.
        """
        recorder = FeatureRecorder(features=features, preactivations=preactivations, blocks=blocks)
        last, embedding = self.encode(images, recorder)
        return Outputs(
            logits=self.head(embedding),
            embedding=embedding,
            features=tuple(recorder.features),
            preactivations=tuple(recorder.preactivations),
            blocks=tuple(recorder.blocks),
            last_map=last if last_map else None,
            class_maps=self._class_maps(last) if class_maps and last is not None else None,
        )

    def _class_maps(self, last: Tensor) -> Tensor:
        """Apply the weights of the head at each position of the last map (B, D, h, w)."""
        return F.conv2d(last, self.head.weight[:, :, None, None])

    @property
    def head(self) -> nn.Linear:
        """The final linear layer, (B, D) -> (B, C)."""
        layer = self.get_submodule(self.head_path)
        assert isinstance(layer, nn.Linear)
        return layer

    @property
    def published(self) -> nn.Module:
        """The module in which weights have the names under which they are published."""
        return self

    @property
    def published_head(self) -> str:
        """Path of the head in it."""
        return self.head_path.removeprefix("" if self.published is self else "network.")

    @property
    def embedding_dim(self) -> int:
        """Length D of the embedding."""
        return self.head.in_features

    def preactivation_norms(self) -> list[nn.BatchNorm2d]:
        """Return the BatchNorms whose weight and bias set OFD's margins (Heo et al., 2019).

        One for each of the preactivations from the second on: those of the stem have none.

        Raises:
            UserError: OFD's margins are not defined for this family.
        """
        raise UserError(
            f"a {type(self).__name__} cannot teach by OFD: its stages do not end in one BatchNorm"
            " from which OFD could take its margins; choose another teacher or another method"
        )

"""Knowledge review (Chen et al., CVPR 2021, arXiv:2104.09044)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from distillery.core.settings import FrozenModel
from distillery.methods.base import Batch, Context, Method, Paper, Weights
from distillery.methods.parts.matching import require_equal_stages
from distillery.methods.parts.precision import upcast
from distillery.methods.parts.schedule import warmup_share
from distillery.models.base import ModelSpec, Outputs
from distillery.models.resizing import pool_to


class ReviewKD(Method):
    """Hierarchical context loss between fused student maps and the teacher's maps.

    From the embedding, a 1x1 map, up to the shallowest stage behind the stem, a student map is
    brought to a common width, blended with what came from the deeper stages, and mapped to the
    teacher's width (``Fusion``). Each result is compared with the teacher's map before its ReLU
    (``hierarchical_context``); the distances are added up and multiplied by
    ``min(epoch / warmup_epochs, 1)``, epochs counted from 1. Both networks need equally many
    stages, and a batch two samples, for the BatchNorm of 1x1 maps.

    Published weights of the term by student (authors' scripts; teachers as in CRD's table): 5 for
    wrn_16_2, wrn_40_1, resnet8x4 and ShuffleV1, 8 for ShuffleV2, 0.6 for resnet20, 1 for resnet32;
    on ImageNet 1 for ResNet18 and 8 for MobileNetV1.

    Extra memory: 585 MB at B = 64 for resnet32x4 -> resnet8x4 on 32 x 32, with the backward pass
    and the gradients of the student's maps; fused maps have 256 channels at every resolution.
    """

    title = "ReviewKD"
    paper = Paper("Chen et al.", "CVPR", 2021, "2104.09044")
    kind = "feature"
    source = "Chen et al. 2021; weight 1 and warm-up over 20 epochs from the authors' scripts"
    needs = frozenset({"embedding", "features", "preactivations"})
    weights = Weights(method=1.0)

    class Options(FrozenModel):
        """Hyperparameters of ReviewKD."""

        max_width: int = Field(default=512, ge=1)
        """Fused maps are as wide as the student's embedding, but no wider than this."""
        levels: tuple[int, ...] = (4, 2, 1)
        """Resolutions at which maps are compared beside their own, from fine to coarse."""
        warmup_epochs: int = Field(default=20, ge=0)
        """Epochs until the loss has its full weight; 0 for the full weight from the start."""
        student_preactivations: bool = False
        """Read the student's maps before their ReLU (published for ImageNet)."""

    def __init__(self, options: Options, context: Context) -> None:
        super().__init__(options, context)
        student, teacher = context.student, context.teacher
        width = min(options.max_width, student.embedding_dim)
        inputs = [*(shape[0] for shape in student.feature_shapes[1:]), student.embedding_dim]
        outputs = [*(shape[0] for shape in teacher.feature_shapes[1:]), teacher.embedding_dim]
        self.fusions = nn.ModuleList(
            Fusion(into, width, out, blends=index > 0)
            for index, (into, out) in enumerate(zip(inputs[::-1], outputs[::-1], strict=True))
        )

    @classmethod
    def check(cls, options: Options, student: ModelSpec, teacher: ModelSpec) -> None:
        """Refuse networks with different numbers of stages."""
        require_equal_stages("reviewkd", student, teacher)

    def forward(self, student: Outputs, teacher: Outputs, batch: Batch) -> dict[str, Tensor]:
        """Return the term ``review``. Maps have shapes (B, c, h, w), embeddings (B, D)."""
        maps = student.features
        if self.options.student_preactivations:
            maps = student.preactivations
        distance = self.review(
            [*maps[1:], student.embedding[:, :, None, None]],
            [*teacher.preactivations[1:], teacher.embedding[:, :, None, None]],
        )
        warmup = warmup_share(batch.epoch, self.options.warmup_epochs)
        return {"review": warmup * distance}

    def review(self, students: list[Tensor], teachers: list[Tensor]) -> Tensor:
        """Return the distance of maps (B, c, h, w), listed from shallow to deep."""
        distances = []
        deeper: Tensor | None = None
        pairs = zip(self.fusions, students[::-1], teachers[::-1], strict=True)
        for fusion, student_map, teacher_map in pairs:
            target = upcast(teacher_map.detach())
            mapped, deeper = fusion(upcast(student_map), deeper, target.shape[2:])
            distances.append(hierarchical_context(mapped, target, self.options.levels))
        return torch.stack(distances).sum()


class Fusion(nn.Module):
    """Blends a student map with what the deeper stages hand up, and maps it to a teacher's width.

    The map passes a 1x1 convolution and BatchNorm. Then a 1x1 convolution and a sigmoid give two
    weights at each position, one for the map and one for the deeper map, resized to it. Their sum,
    resized to the teacher's size, is handed up, and passes a 3x3 convolution and BatchNorm.
    """

    def __init__(
        self, student_channels: int, width: int, teacher_channels: int, blends: bool
    ) -> None:
        super().__init__()
        self.narrow = _conv_bn(student_channels, width, 1)
        self.widen = _conv_bn(width, teacher_channels, 3)
        self.attention = nn.Conv2d(2 * width, 2, 1) if blends else None

    def forward(
        self, student: Tensor, deeper: Tensor | None, size: torch.Size
    ) -> tuple[Tensor, Tensor]:
        """Return the map at the teacher's width, and the fused map for the next shallower stage.

        Args:
            student: (B, student_channels, h, w).
            deeper: (B, width, h', w'), or None for the deepest stage.
            size: height and width of both results.
        """
        fused = self.narrow(student)
        if self.attention is not None and deeper is not None:
            deeper = _resize(deeper, fused.shape[2:])
            shares = self._shares(fused, deeper)
            fused = fused * shares[:, :1] + deeper * shares[:, 1:]
        fused = _resize(fused, size)
        return self.widen(fused), fused

    def _shares(self, fused: Tensor, deeper: Tensor) -> Tensor:
        """Return the weights (B, 2, h, w) of two maps, without ever joining them in one array."""
        assert self.attention is not None
        first, second = self.attention.weight.chunk(2, dim=1)
        scores = F.conv2d(fused, first, self.attention.bias) + F.conv2d(deeper, second)
        return scores.sigmoid()


def hierarchical_context(student: Tensor, teacher: Tensor, levels: Sequence[int]) -> Tensor:
    """Return the mean squared error of two maps at several resolutions, averaged with weights.

    Full resolution has weight 1. Every level that is smaller than the maps' height adds the error
    of the maps average-pooled to (level, level), with half the weight of the one before it.

    Args:
        student: (B, C, H, W).
        teacher: (B, C, H, W).
        levels: resolutions, from fine to coarse.

    Returns:
        Scalar, the weighted mean over the resolutions.
    """
    loss = F.mse_loss(student, teacher)
    weight, total = 1.0, 1.0
    for level in levels:
        if level < student.shape[2]:
            weight /= 2
            total += weight
            pooled, target = (pool_to(maps, level, level) for maps in (student, teacher))
            loss = loss + weight * F.mse_loss(pooled, target)
    return loss / total


def _conv_bn(in_channels: int, out_channels: int, kernel: int) -> nn.Sequential:
    conv = nn.Conv2d(in_channels, out_channels, kernel, padding=kernel // 2, bias=False)
    nn.init.kaiming_uniform_(conv.weight, a=1)
    return nn.Sequential(conv, nn.BatchNorm2d(out_channels))


def _resize(maps: Tensor, size: torch.Size) -> Tensor:
    """Resize maps by nearest neighbour, unless they have the size already."""
    return maps if maps.shape[2:] == size else F.interpolate(maps, tuple(size), mode="nearest")

"""Overhaul of feature distillation (Heo et al., ICCV 2019, arXiv:1904.01866)."""

from __future__ import annotations

import math
from functools import cache
from typing import Literal

import torch
from torch import Tensor, nn

from distillery.core.errors import UserError
from distillery.core.settings import FrozenModel
from distillery.methods.base import Batch, Context, Method, Paper, Weights
from distillery.methods.parts.matching import Mismatch, require_equal_stages
from distillery.methods.parts.precision import upcast
from distillery.models.base import ModelSpec, Outputs
from distillery.models.outline import outline
from distillery.models.resizing import pool_to

# Channels that are negative more rarely than this take a margin of three standard deviations.
_RARE = 0.001
_SMALLEST_DEVIATION = 1e-12


class OFD(Method):
    """Partial L2 between stage maps before their ReLU, the student's behind a connector.

    Stage l of L: the student's map passes a convolution and a BatchNorm to the teacher's width, the
    teacher's map is average-pooled to the student's size and cut off below at the channel margins
    (``partial_l2``). The distance, summed over a map and averaged over the batch, counts
    ``2^-(L - 1 - l)``. The stem takes no part; both networks need equally many stages.

    The original keeps the teacher in training mode, so that its maps are normalised by batch
    statistics and its running statistics drift. Here the teacher is frozen, in evaluation mode, as
    for every other method. The margins, which follow from BatchNorm's weight and bias alone, are
    the same; that the maps are distributed as the margins presume holds on average over the
    training set, not in each batch.

    Extra memory: 105 MB at B = 64 for resnet32x4 -> resnet8x4 on 32 x 32, with the backward pass
    and the gradients of the student's maps.
    """

    title = "OFD"
    paper = Paper("Heo et al.", "ICCV", 2019, "1904.01866")
    kind = "feature"
    disagreement = (
        "The authors keep the teacher in training mode, so that its statistics drift; it is in "
        "evaluation mode here."
    )
    source = "Heo et al. 2019; weight 1e-3 for CIFAR (1e-4 for ImageNet) as in mdistiller"
    needs = frozenset({"preactivations"})
    weights = Weights(method=1e-3)

    class Options(FrozenModel):
        """Hyperparameters of OFD."""

        kernel: Literal[1, 3, 5] = 1
        """Height and width of the connectors' convolution."""

    def __init__(self, options: Options, context: Context) -> None:
        super().__init__(options, context)
        assert context.teacher_network is not None
        stages = zip(
            context.student.feature_shapes[1:],
            context.teacher.feature_shapes[1:],
            # Any module with this method will do, for example a wrapped classifier.
            context.teacher_network.preactivation_norms(),  # type: ignore[operator]
            strict=True,
        )
        self.stages = nn.ModuleList(
            Stage(shape[0], target[0], options.kernel, channel_margins(norm.weight, norm.bias))
            for shape, target, norm in stages
        )

    @classmethod
    def check(cls, options: Options, student: ModelSpec, teacher: ModelSpec) -> None:
        """Refuse unequal numbers of stages, and teachers without a BatchNorm before each ReLU.

        Raises:
            Mismatch: margins cannot be taken of the teacher.
        """
        require_equal_stages("ofd", student, teacher)
        if _norms(teacher) != len(teacher.feature_shapes) - 1:
            why = "the teacher has no BatchNorm before the ReLU of its stages, which margins need"
            raise Mismatch("ofd", student, teacher, why)

    def forward(self, student: Outputs, teacher: Outputs, batch: Batch) -> dict[str, Tensor]:
        """Return the term ``partial_l2``. Preactivations have shapes (B, c, h, w)."""
        last = len(self.stages) - 1
        maps = zip(self.stages, student.preactivations[1:], teacher.preactivations[1:], strict=True)
        distances = [
            stage(student_map, teacher_map.detach()) / 2 ** (last - index)
            for index, (stage, student_map, teacher_map) in enumerate(maps)
        ]
        return {"partial_l2": torch.stack(distances).sum()}


class Stage(nn.Module):
    """One stage's connector (convolution and BatchNorm), margins and distance."""

    margin: Tensor

    def __init__(
        self, student_channels: int, teacher_channels: int, kernel: int, margin: Tensor
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(
            student_channels, teacher_channels, kernel, padding=kernel // 2, bias=False
        )
        self.norm = nn.BatchNorm2d(teacher_channels)
        nn.init.kaiming_normal_(self.conv.weight, mode="fan_out", nonlinearity="relu")
        self.register_buffer("margin", margin)

    def forward(self, student: Tensor, teacher: Tensor) -> Tensor:
        """Return the distance of maps (B, c, h, w), whose widths and sizes may differ."""
        student = self.norm(self.conv(upcast(student)))
        teacher = pool_to(upcast(teacher), student.shape[2], student.shape[3])
        return partial_l2(student, teacher, self.margin[:, None, None])


def channel_margins(weight: Tensor, bias: Tensor) -> Tensor:
    """Return the mean negative response of each channel behind a BatchNorm.

    A channel is taken as normal with mean ``bias`` and deviation ``|weight|``; its margin is the
    expectation of its values below zero, or ``-3 |weight|`` where at most one value in a thousand
    is negative.

    Args:
        weight: (C,), that of the BatchNorm before the ReLU.
        bias: (C,), of the same BatchNorm.

    Returns:
        (C,) single precision, on the CPU, not positive.
    """
    deviation = weight.detach().cpu().double().abs().clamp_min(_SMALLEST_DEVIATION)
    mean = bias.detach().cpu().double()
    z = mean / deviation
    negative = 0.5 * torch.special.erfc(z / math.sqrt(2))
    # The density over the probability, in log space: both vanish far from zero.
    log_density = -0.5 * z**2 - 0.5 * math.log(2 * math.pi)
    expectation = mean - deviation * torch.exp(log_density - torch.special.log_ndtr(-z))
    return torch.where(negative > _RARE, expectation, -3 * deviation).float()


def partial_l2(student: Tensor, teacher: Tensor, margin: Tensor) -> Tensor:
    """Return the partial L2 distance to the margin-ReLU of the teacher, mean over the batch.

    The target of an element is ``max(teacher, margin)``. Its squared distance counts where the
    teacher is positive, and elsewhere only where the student lies above the target.

    Args:
        student: (B, C, H, W).
        teacher: (B, C, H, W).
        margin: broadcasts to them; not positive.

    Returns:
        Scalar, summed over C, H and W.
    """
    target = torch.maximum(teacher, margin)
    excess = student - target
    counts = (teacher > 0) | (excess > 0)
    return torch.where(counts, excess, 0.0).square().sum() / len(student)


@cache
def _norms(spec: ModelSpec) -> int:
    """Return how many BatchNorms a teacher's family has for margins; 0 where none are defined."""
    network = outline(spec.arch, num_classes=spec.num_classes, in_channels=spec.in_channels)
    try:
        return len(network.preactivation_norms())
    except UserError:
        return 0

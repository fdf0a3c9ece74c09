"""Trainable maps that bring what a network computes to another's shape, or onto the sphere."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from distillery.methods.parts.precision import upcast


class SphereHead(nn.Module):
    """A linear map followed by L2 normalisation (the embedding head of CRD, Tian et al. 2020)."""

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__()
        self.linear = nn.Linear(in_features, out_features)

    def forward(self, embedding: Tensor) -> Tensor:
        """Map (B, in_features) to unit vectors (B, out_features)."""
        return F.normalize(self.linear(upcast(embedding)), dim=1)


class FrozenHead(nn.Module):
    """A copy of the last layer of a teacher, which is not trained."""

    weight: Tensor
    bias: Tensor

    def __init__(self, head: nn.Linear | None) -> None:
        super().__init__()
        assert head is not None, "the method has to need `classifier`"
        self.register_buffer("weight", head.weight.detach().clone())
        self.register_buffer("bias", head.bias.detach().clone())

    def forward(self, embedding: Tensor) -> Tensor:
        """Map (B, D) to logits (B, C), with the gradient of what is given."""
        return F.linear(embedding, self.weight, self.bias)


Shape = tuple[int, int, int]


class Regressor(nn.Module):
    """A convolution whose kind depends on the ratio of the sizes, BatchNorm, and perhaps a ReLU.

    Twice the teacher's size: 3x3 with stride 2. Half of it: 4x4 transposed with stride 2. Otherwise
    an unpadded kernel that leaves just the teacher's size, 1x1 where the sizes are equal.
    """

    def __init__(self, student: Shape, teacher: Shape, *, relu: bool) -> None:
        super().__init__()
        self.conv = _convolution(student, teacher)
        self.norm = nn.BatchNorm2d(teacher[0])
        self.relu = relu

    def forward(self, maps: Tensor) -> Tensor:
        """Map (B, *student) to (B, *teacher)."""
        mapped = self.norm(self.conv(maps))
        return F.relu(mapped) if self.relu else mapped


def regressible(student: Shape, teacher: Shape) -> bool:
    """Tell whether there is a regressor: the student's map is larger, equal, or half as large."""
    return _doubles(student, teacher) or (student[1] >= teacher[1] and student[2] >= teacher[2])


def _doubles(small: Shape, large: Shape) -> bool:
    return 2 * small[1] == large[1] and 2 * small[2] == large[2]


def _convolution(student: Shape, teacher: Shape) -> nn.Module:
    if _doubles(teacher, student):
        return nn.Conv2d(student[0], teacher[0], 3, stride=2, padding=1)
    if _doubles(student, teacher):
        return nn.ConvTranspose2d(student[0], teacher[0], 4, stride=2, padding=1)
    kernel = (1 + student[1] - teacher[1], 1 + student[2] - teacher[2])
    return nn.Conv2d(student[0], teacher[0], kernel)

"""Factor transfer (Kim et al., NeurIPS 2018, arXiv:1802.04977)."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Literal

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from distillery.core.conditions import OnlyWith
from distillery.core.settings import FrozenModel
from distillery.methods.base import Batch, Context, Method, Paper, Pretraining, Weights
from distillery.methods.parts.pooling import activation_map, to_same_size
from distillery.methods.parts.precision import upcast
from distillery.models.base import Outputs


class FactorTransfer(Method):
    """Distance between factors, which small networks extract from the last stage maps.

    A paraphraser, an auto-encoder of the teacher's last map with fewer channels, is trained first,
    by mean squared error; its code is the teacher's factor. Then a translator learns, with the
    student, to make the same factor from the student's last map. The loss is
    ``mean(|f_S - f_T|^q)`` of factors of unit length.

    ``map`` is RepDistiller's factor, with which the published CIFAR numbers were made: channels
    collapse to ``mean_c factor^p``. ``whole`` is the paper's (and torchdistill's): the whole
    factor, flattened. The larger factor is average-pooled to the smaller one's size.

    The weight counts in the second stage; the paraphraser's error is minimised as it is.

    Extra memory of either stage, at B = 64 for resnet32x4 -> resnet8x4 on 32 x 32: 42 MB kept
    for the backward pass and at its peak.
    """

    title = "FT"
    paper = Paper("Kim et al.", "NeurIPS", 2018, "1802.04977")
    kind = "feature"
    disagreement = (
        "RepDistiller collapses channels, the paper and torchdistill compare whole factors; the "
        "first by default, the second as `factor: whole`."
    )
    source = "Kim et al. 2018; factor, 30 epochs at rate 0.01 and weight 200 from RepDistiller"
    needs = frozenset({"features"})
    weights = Weights(method=200.0)

    class Options(FrozenModel):
        """Hyperparameters of FT."""

        factor: Literal["map", "whole"] = "map"
        """What of the factors is compared: their activation map, or all of them."""
        rate: float = Field(default=0.5, gt=0)
        """k, channels of the factor over channels of the teacher's map."""
        power: Annotated[int, OnlyWith("factor", "map")] = Field(default=2, ge=1)
        """Of ``map``: p, the power to which factors are raised."""
        distance_power: int = Field(default=1, ge=1)
        """q, the power of the differences: 1 for absolute, 2 for squared ones."""
        pretraining_epochs: int = Field(default=30, ge=1)
        """Length of the paraphraser's training."""
        pretraining_lr: float | None = Field(default=0.01, gt=0)
        """Learning rate of the paraphraser's training; null for that of the run, which RepDistiller
        takes for students other than ResNets and WRNs."""

    def __init__(self, options: Options, context: Context) -> None:
        super().__init__(options, context)
        student_channels, teacher_channels = (
            spec.feature_shapes[-1][0] for spec in (context.student, context.teacher)
        )
        channels = max(int(teacher_channels * options.rate), 1)
        self.translator = encoder(student_channels, channels, norm=True)
        self.paraphraser = Paraphraser(teacher_channels, channels)

    def pretraining(self) -> Pretraining:
        """Return the training of the paraphraser."""
        return Pretraining(
            epochs=self.options.pretraining_epochs,
            trains_student=False,
            lr=self.options.pretraining_lr,
        )

    def pretrain(self, student: Outputs, teacher: Outputs, batch: Batch) -> dict[str, Tensor]:
        """Return the term ``reconstruction``. The teacher's last map has shape (B, C, H, W)."""
        maps = upcast(teacher.features[-1])
        rebuilt = self.paraphraser.decoder(self.paraphraser.encoder(maps))
        return {"reconstruction": F.mse_loss(upcast(rebuilt), maps)}

    def finish_pretraining(self) -> None:
        """Freeze the paraphraser."""
        self.paraphraser.requires_grad_(False)

    def forward(self, student: Outputs, teacher: Outputs, batch: Batch) -> dict[str, Tensor]:
        """Return the term ``factor``. Maps have shape (B, C, H, W)."""
        translated = self.translator(upcast(student.features[-1]))
        target = self.paraphraser.encoder(upcast(teacher.features[-1]))
        return {"factor": self.distance(translated, target)}

    def distance(self, student: Tensor, teacher: Tensor) -> Tensor:
        """Return the distance of two factors (B, C, H, W), whose sizes may differ."""
        factors = to_same_size(upcast(student), upcast(teacher))
        if self.options.factor == "map":
            student, teacher = (activation_map(factor, self.options.power) for factor in factors)
        else:
            student, teacher = (F.normalize(factor.flatten(1), dim=1) for factor in factors)
        return (student - teacher).abs().pow(self.options.distance_power).mean()


class Paraphraser(nn.Module):
    """An auto-encoder of a teacher's map, of the same size but with fewer channels in between."""

    def __init__(self, channels: int, factor_channels: int) -> None:
        super().__init__()
        self.encoder = encoder(channels, factor_channels, norm=False)
        self.decoder = nn.Sequential(
            nn.ConvTranspose2d(factor_channels, factor_channels, 3, padding=1),
            nn.LeakyReLU(0.1),
            nn.ConvTranspose2d(factor_channels, channels, 3, padding=1),
            nn.LeakyReLU(0.1),
            nn.ConvTranspose2d(channels, channels, 3, padding=1),
            nn.LeakyReLU(0.1),
        )


def encoder(channels: int, factor_channels: int, *, norm: bool) -> nn.Sequential:
    """Return three 3x3 convolutions from a map to a factor of its size, each with leaky ReLU."""
    layers: list[nn.Module] = []
    widths = (channels, channels, factor_channels, factor_channels)
    for before, after in pairwise(widths):
        layers.append(nn.Conv2d(before, after, 3, padding=1))
        if norm:
            layers.append(nn.BatchNorm2d(after))
        layers.append(nn.LeakyReLU(0.1))
    return nn.Sequential(*layers)

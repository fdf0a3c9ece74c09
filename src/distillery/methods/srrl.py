"""Softmax regression representation learning (Yang et al., ICLR 2021)."""

from __future__ import annotations

from typing import Literal

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from distillery.core.settings import FrozenModel
from distillery.methods.base import Batch, Context, Method, Paper, Weights
from distillery.methods.parts.heads import FrozenHead
from distillery.methods.parts.precision import upcast
from distillery.models.base import Outputs


class SRRL(Method):
    """The student's features, connected to the teacher's width, pass the teacher's classifier.

    With a the mean over the positions of ``ReLU(BN(conv1x1(F_S)))``, F_S the last map:
    ``features = mean((a - f_T)^2)`` with the teacher's embedding, and ``regression = weight *
    mean((classifier_T(a) - z_T)^2)``. The classifier is the teacher's own and stays as it is.

    As the original, the connector acts on the map; SimKD's and CTKD's toolboxes pool the map first,
    which is another loss (`pooled`) unless the map has one position. Of the teacher, embedding,
    logits and classifier suffice, so that it trains from the cache.

    Extra memory at B = 64 for resnet32x4 -> resnet8x4 on 32 x 32: 8 MB kept for the
    backward pass, 17 MB at the peak.
    """

    title = "SRRL"
    paper = Paper("Yang et al.", "ICLR", 2021)
    kind = "feature"
    disagreement = (
        "The authors connect maps, toolboxes pooled vectors; the first by default, the second as "
        "`connector: pooled`."
    )
    source = (
        "Yang et al. 2021; weight 1 (ImageNet) from the authors' code, 5 in cls_KD on CIFAR; the "
        "authors name (1, 1), (1, 5) and (10, 1) for the two terms, by pair"
    )
    needs = frozenset({"logits", "embedding", "classifier"})
    student_needs = frozenset({"last_map"})
    weights = Weights(ce=1.0, method=1.0)

    class Options(FrozenModel):
        """Hyperparameters of SRRL."""

        regression_weight: float = Field(default=1.0, ge=0)
        """Weight of the logits' term."""
        connector: Literal["map", "pooled"] = "map"
        """What the connector acts on: the last map, or its mean, as in the CIFAR toolboxes."""

    def __init__(self, options: Options, context: Context) -> None:
        super().__init__(options, context)
        student, teacher = context.student.embedding_dim, context.teacher.embedding_dim
        self.connector = nn.Sequential(
            nn.Conv2d(student, teacher, 1, bias=False), nn.BatchNorm2d(teacher), nn.ReLU()
        )
        self.classifier = FrozenHead(context.teacher_head)

    def forward(self, student: Outputs, teacher: Outputs, batch: Batch) -> dict[str, Tensor]:
        """Return the terms ``features`` and ``regression``, with its weight.

        The student's map has shape (B, D_S, h, w), the teacher's embedding (B, D_T), logits (B, C).
        """
        assert student.last_map is not None
        last = upcast(student.last_map)
        if self.options.connector == "pooled":
            last = last.mean((2, 3), keepdim=True)
        connected = self.connector(last).mean((2, 3))
        regressed = self.classifier(connected)
        return {
            "features": F.mse_loss(connected, upcast(teacher.embedding)),
            "regression": self.options.regression_weight
            * F.mse_loss(regressed, upcast(teacher.logits)),
        }

"""Semantic calibration of layers (Chen et al., AAAI 2021, arXiv:2012.03236)."""

from __future__ import annotations

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from distillery.core.settings import FrozenModel
from distillery.methods.base import Batch, Context, Method, Paper, Weights
from distillery.methods.parts.matching import Mismatch
from distillery.methods.parts.pooling import to_same_size
from distillery.methods.parts.precision import upcast
from distillery.models.base import ModelSpec, Outputs


class SemCKD(Method):
    """Each map of the student learns from all maps of the teacher, weighted by learned attention.

    For a map, row b of the Gram matrix (B, B) over the batch says which images image b is like; a
    small network makes a unit query of it in the student and a unit key in the teacher, and the
    attention of image b from layer s to layer t is the softmax over t of their product. The loss is
    ``sum_bst attention * mean((r_st(F_s) - F_t)^2) / (B S)`` over the S maps behind the stem, the
    larger map average-pooled, with a regressor r for every pair.

    The small networks are as wide as the batch: a last batch with fewer images gives no term, as
    the authors leave it out, and the loss depends on the order of the batch.

    Extra memory at B = 64 for resnet32x4 -> resnet8x4 on 32 x 32: 496 MB kept for the
    backward pass, 518 MB at the peak.
    """

    title = "SemCKD"
    paper = Paper("Chen et al.", "AAAI", 2021, "2012.03236")
    kind = "feature"
    source = "Chen et al. 2021; weight 400 beside CE 1 and KD 1 from the authors' code; ImageNet 50"
    needs = frozenset({"features"})
    weights = Weights(ce=1.0, kd=1.0, method=400.0)
    couples_batch = True

    class Options(FrozenModel):
        """Hyperparameters of SemCKD."""

        factor: int = Field(default=4, ge=1)
        """Queries and keys have the batch's size divided by this."""

    def __init__(self, options: Options, context: Context) -> None:
        super().__init__(options, context)
        shapes_s, shapes_t = (
            spec.feature_shapes[1:] for spec in (context.student, context.teacher)
        )
        self.batch_size = context.batch_size
        self.keys = nn.ModuleList(self._projection() for _ in shapes_t)
        self.queries = nn.ModuleList(self._projection() for _ in shapes_s)
        self.regressors = nn.ModuleList(
            nn.ModuleList(_regressor(student[0], teacher[0]) for teacher in shapes_t)
            for student in shapes_s
        )

    @classmethod
    def check(cls, options: Options, student: ModelSpec, teacher: ModelSpec) -> None:
        """Refuse networks without maps behind their stem."""
        if len(student.feature_shapes) < 2 or len(teacher.feature_shapes) < 2:
            raise Mismatch("semckd", student, teacher, "it needs maps behind the stem of both")

    def forward(self, student: Outputs, teacher: Outputs, batch: Batch) -> dict[str, Tensor]:
        """Return the term ``calibrated``. Maps have shape (B, C, h, w)."""
        maps_s, maps_t = (
            [upcast(maps) for maps in network.features[1:]] for network in (student, teacher)
        )
        if len(batch.labels) != self.batch_size:
            return {"calibrated": 0 * maps_s[0].sum()}
        attention = self.attention(maps_s, maps_t)
        rows: list[Iterable[nn.Module]] = list(self.regressors)  # type: ignore[arg-type]
        errors = [
            torch.stack([_error(one, own, given) for one, given in zip(row, maps_t, strict=True)])
            for own, row in zip(maps_s, rows, strict=True)
        ]
        weighted = attention * torch.stack(errors).permute(2, 0, 1)
        return {"calibrated": weighted.sum() / (len(attention) * len(maps_s))}

    def attention(self, student: list[Tensor], teacher: list[Tensor]) -> Tensor:
        """Return the attention (B, S, T) of maps (B, C, h, w), which sums to 1 over T."""
        queries, keys = _projected(self.queries, student), _projected(self.keys, teacher)
        return torch.einsum("sbd,tbd->bst", queries, keys).softmax(dim=2)

    def _projection(self) -> nn.Sequential:
        size = self.batch_size
        width = max(size // self.options.factor, 1)
        return nn.Sequential(nn.Linear(size, 2 * width), nn.ReLU(), nn.Linear(2 * width, width))


def _projected(layers: nn.ModuleList, maps: list[Tensor]) -> Tensor:
    """Return a unit vector for each map and image, (L, B, d)."""
    outputs = [layer(similarities(each)) for layer, each in zip(layers, maps, strict=True)]
    projected = torch.stack(outputs)
    unit: Tensor = projected / projected.norm(dim=2, keepdim=True)
    return unit


def similarities(maps: Tensor) -> Tensor:
    """Return the Gram matrix (B, B) of maps (B, C, h, w)."""
    flat = maps.flatten(1)
    return flat @ flat.T


def _error(regressor: nn.Module, student: Tensor, teacher: Tensor) -> Tensor:
    """Return each image's mean squared error (B,)."""
    student, teacher = to_same_size(student, teacher)
    return F.mse_loss(regressor(student), teacher, reduction="none").mean((1, 2, 3))


def _regressor(student: int, teacher: int) -> nn.Sequential:
    wide = 2 * teacher
    return nn.Sequential(
        nn.Conv2d(student, wide, 1, bias=False),
        nn.BatchNorm2d(wide),
        nn.ReLU(inplace=True),
        nn.Conv2d(wide, wide, 3, padding=1, bias=False),
        nn.BatchNorm2d(wide),
        nn.ReLU(inplace=True),
        nn.Conv2d(wide, teacher, 1, bias=False),
    )

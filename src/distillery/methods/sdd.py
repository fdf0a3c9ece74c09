"""Scale decoupled distillation (Wei et al., CVPR 2024, arXiv:2403.13512), around KD or DKD."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from distillery.core.conditions import OnlyWith
from distillery.core.settings import FrozenModel
from distillery.methods.base import Batch, Method, Paper, Weights
from distillery.methods.dkd import dkd_divergences
from distillery.methods.parts.precision import upcast
from distillery.methods.parts.schedule import warmup_share
from distillery.methods.parts.similarity import row_divergence
from distillery.models.base import Outputs
from distillery.models.resizing import pool_to


class SDD(Method):
    """KD or DKD of the logits of regions of the image, from the whole down to small ones.

    Each network's classifier is applied to the mean of its last map over every region of grids of 1
    x 1, 2 x 2 and so on; the finest is pooled first and the coarser ones from it. The loss of a
    region counts twice where the teacher is right of the whole image and wrong of the region, or
    the other way round, and once otherwise; it is the sum divided by the regions and images.

    Extra memory at B = 64 for resnet32x4 -> resnet8x4 on 32 x 32: 0.4 MB kept for the
    backward pass, 3.4 MB at the peak.
    """

    title = "SDD"
    paper = Paper("Wei et al.", "CVPR", 2024, "2403.13512")
    kind = "response"
    source = "Wei et al. 2024; grids 1, 2 and weights 0.1 CE + 0.9 KD from the authors' configs"
    needs = frozenset({"logits", "class_maps"})
    weights = Weights(ce=0.1, method=0.9)

    class Options(FrozenModel):
        """Hyperparameters of SDD; those of DKD count for that base alone."""

        base: Literal["kd", "dkd"] = "kd"
        """The loss of a region."""
        grids: tuple[int, ...] = Field(default=(1, 2), min_length=1)
        """Regions a side of each grid, the first being the whole image; (1, 2, 4) where the
        architectures differ."""
        temperature: float = Field(default=4.0, gt=0)
        """T of the base, whose loss is scaled by its square."""
        alpha: Annotated[float, OnlyWith("base", "dkd")] = Field(default=1.0, ge=0)
        """Of DKD: weight of the true class against the rest."""
        beta: Annotated[float, OnlyWith("base", "dkd")] = Field(default=8.0, ge=0)
        """Of DKD: weight of the other classes."""
        warmup_epochs: Annotated[int, OnlyWith("base", "dkd")] = Field(default=20, ge=0)
        """Of DKD: epochs until the loss has its full weight."""

    def forward(self, student: Outputs, teacher: Outputs, batch: Batch) -> dict[str, Tensor]:
        """Return the term ``regions``. Logits are (B, C), class maps (B, C, h, w)."""
        return {"regions": self.loss(self.regions(student), self.regions(teacher), batch)}

    def loss(self, student: Tensor, teacher: Tensor, batch: Batch) -> Tensor:
        """Return the loss () of the logits (B, C, N) of N regions, the first being the whole."""
        options = self.options
        images, classes, regions = student.shape
        own, given = (each.transpose(1, 2).reshape(-1, classes) for each in (student, teacher))
        if options.base == "kd":
            losses = row_divergence(own, given, options.temperature)
        else:
            labels = batch.labels.repeat_interleave(regions)
            target, others = dkd_divergences(own, given, labels, options.temperature)
            warmup = warmup_share(batch.epoch, options.warmup_epochs)
            losses = warmup * (options.alpha * target + options.beta * others)
        right = teacher.argmax(dim=1) == batch.labels[:, None]
        counts = 1 + (right != right[:, :1]).to(losses.dtype)
        return (counts.flatten() * losses).sum() / (images * regions)

    def regions(self, network: Outputs) -> Tensor:
        """Return the logits (B, C, N) of all regions, grid by grid and row by row."""
        assert network.class_maps is not None
        maps = upcast(network.class_maps)
        bias = upcast(network.logits) - maps.mean((2, 3))
        finest = max(self.options.grids)
        pooled = pool_to(maps, finest, finest)
        grids = [pool_to(pooled, side, side).flatten(2) for side in self.options.grids]
        return torch.cat(grids, dim=2) + bias[:, :, None]

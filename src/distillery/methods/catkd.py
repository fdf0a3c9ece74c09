"""Class attention transfer (Guo et al., CVPR 2023, arXiv:2304.12777)."""

from __future__ import annotations

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from distillery.core.settings import FrozenModel
from distillery.methods.base import Batch, Method, Paper, Weights
from distillery.methods.parts.precision import upcast
from distillery.models.base import Outputs
from distillery.models.resizing import pool_to


class CATKD(Method):
    """Mean squared difference of pooled class activation maps.

    A class activation map is the last map seen through the classifier's weights of a class. Both
    are average-pooled to a few positions, and each map may be brought to length 1.

    The authors' networks have no bias in their classifier, and the teacher's is dropped when its
    weights are converted, which can move its accuracy. Here the networks keep their bias, which is
    no part of the maps.

    Extra memory at B = 64 for resnet32x4 -> resnet8x4 on 32 x 32: 0.2 MB kept for the
    backward pass, 1.7 MB at the peak.
    """

    title = "CAT-KD"
    paper = Paper("Guo et al.", "CVPR", 2023, "2304.12777")
    kind = "feature"
    disagreement = (
        "The authors drop the classifier's bias of both networks; it stays here, outside the maps."
    )
    source = (
        "Guo et al. 2023; two positions a side, no normalisation and weight 0.7 "
        "(resnet56 -> resnet20) from the authors' configs"
    )
    needs = frozenset({"class_maps"})
    weights = Weights(ce=1.0, method=0.7)

    class Options(FrozenModel):
        """Hyperparameters of CAT-KD."""

        resolution: int = Field(default=2, ge=1)
        """Height and width of the maps that are compared."""
        normalise: bool = False
        """Bring each map to length 1; the authors do so where the architectures differ, with
        weights from 15 to 600."""
        binarise: bool = False
        """Of the analysis CAT: the teacher's map is 1 above the mean of its absolute values, else
        0."""

    def forward(self, student: Outputs, teacher: Outputs, batch: Batch) -> dict[str, Tensor]:
        """Return the term ``attention``. Class maps have shape (B, C, h, w)."""
        assert student.class_maps is not None
        assert teacher.class_maps is not None
        target = upcast(teacher.class_maps)
        if self.options.binarise:
            target = (target > target.abs().mean((2, 3), keepdim=True)).to(target.dtype)
        own = self._compared(upcast(student.class_maps))
        return {"attention": F.mse_loss(own, self._compared(target))}

    def _compared(self, maps: Tensor) -> Tensor:
        pooled = pool_to(maps, self.options.resolution, self.options.resolution).flatten(2)
        return F.normalize(pooled, dim=2) if self.options.normalise else pooled

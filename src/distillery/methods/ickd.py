"""Inter-channel correlation (Liu et al., ICCV 2021, arXiv:2202.03680)."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from distillery.methods.base import Batch, Context, Method, Paper, Weights
from distillery.methods.parts.precision import upcast
from distillery.models.base import Outputs


class ICKD(Method):
    """Squared difference of the correlations between channels of the last maps.

    A 1x1 convolution and BatchNorm bring the student's map to the teacher's C channels. In each
    image ``G = F F^T`` over the positions, with rows of length 1; the loss is the sum over all
    pairs of channels, divided by C and by the images. Heights and widths may differ.

    torchdistill (and the authors' ImageNet code) divide once more by the batch and have a 3x3
    convolution, with weight 500: another loss.

    Extra memory at B = 64 for resnet32x4 -> resnet8x4 on 32 x 32: 42 MB kept for the
    backward pass, 109 MB at the peak.
    """

    title = "ICKD"
    paper = Paper("Liu et al.", "ICCV", 2021, "2202.03680")
    kind = "relation"
    disagreement = (
        "torchdistill and the authors' ImageNet code divide once more by the batch; as the "
        "authors' CIFAR code."
    )
    source = "Liu et al. 2021; weight 2.5 from the authors' README (their script has 4)"
    needs = frozenset({"last_map"})
    weights = Weights(ce=1.0, method=2.5)

    def __init__(self, options: Method.Options, context: Context) -> None:
        super().__init__(options, context)
        student, teacher = context.student.embedding_dim, context.teacher.embedding_dim
        self.embed = nn.Sequential(
            nn.Conv2d(student, teacher, 1, bias=False), nn.BatchNorm2d(teacher)
        )

    def forward(self, student: Outputs, teacher: Outputs, batch: Batch) -> dict[str, Tensor]:
        """Return the term ``correlation``. The last maps have shape (B, D, h, w)."""
        assert student.last_map is not None
        assert teacher.last_map is not None
        apart = correlations(self.embed(upcast(student.last_map))) - correlations(
            upcast(teacher.last_map)
        )
        return {"correlation": apart.square().sum() / (apart.shape[0] * apart.shape[1])}


def correlations(maps: Tensor) -> Tensor:
    """Return products (B, C, C) of the channels of maps (B, C, h, w), with rows of length 1."""
    flat = maps.flatten(2)
    return F.normalize(flat @ flat.transpose(1, 2), dim=2)

"""Multi-level logit distillation (Jin et al., CVPR 2023), as it was released."""

from __future__ import annotations

from typing import Annotated

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from distillery.core.conditions import NotWith
from distillery.core.randomness import seed_for
from distillery.core.settings import FrozenModel
from distillery.methods.base import Batch, Context, Method, Paper, Weights
from distillery.methods.parts.precision import upcast
from distillery.methods.parts.similarity import row_divergence
from distillery.models.base import Outputs


class MLKD(Method):
    """KD at five temperatures on a weak and a strong view, and Gram matrices of the probabilities.

    With ``P = softmax(z / T)`` and for each temperature: ``instance = T^2 KL(P_T || P_S)``,
    ``batch = |P_T P_T' - P_S P_S'|^2 / B`` and ``classes = |P_T' P_T - P_S' P_S|^2 / C``.

    It is the released code, with its quirks: the parts of the weak view are multiplied by the share
    of images (for classes: of classes) that the teacher is no surer of than of the median one, not
    masked by them; the instance loss of the strong view takes the weak view's logits at T = 2 and
    6; and its Gram matrices count for nothing. Published numbers come from 480 epochs. Both views
    have their cross-entropy.

    The strong view is RandAugment (two operations of magnitude 10) of the weak one, drawn anew in
    every step, so that the teacher runs live.

    Extra memory at B = 64, C = 100: 850 kB kept for the backward pass, 1.1 MB at the peak.
    """

    title = "MLKD"
    paper = Paper("Jin et al.", "CVPR", 2023)
    kind = "response"
    disagreement = "The released code differs from the paper in places; as released."
    source = "Jin et al. 2023; weights 0.1 CE + 0.9, T = 4 with 3, 5, 2, 6 from the released code"
    needs = frozenset({"logits"})
    weights = Weights(ce=0.1, method=1.0)
    couples_batch = True
    n_views = 2

    class Options(FrozenModel):
        """Hyperparameters of MLKD."""

        temperature: Annotated[float, NotWith("distillation_weight", 0)] = Field(default=4.0, gt=0)
        """The first temperature; 1 on ImageNet."""
        distillation_weight: float = Field(default=0.9, ge=0)
        """Weight of all distillation terms; 0.5 on ImageNet."""
        strong_ce_weight: float = Field(default=0.1, ge=0)
        """Weight of the strong view's cross-entropy; that of the weak view is ``weights.ce``."""

    def __init__(self, options: Options, context: Context) -> None:
        super().__init__(options, context)
        self._seed = context.seed
        shape = (-1, 1, 1)
        self.register_buffer("mean", torch.tensor(context.mean).view(shape), persistent=False)
        self.register_buffer("std", torch.tensor(context.std).view(shape), persistent=False)

    mean: Tensor
    std: Tensor

    def make_views(self, images: Tensor, batch: Batch) -> Tensor:
        """Return each image as it is and augmented, (B, C, H, W) -> (2 B, C, H, W)."""
        from torchvision.transforms import v2

        augment = v2.RandAugment(num_ops=2, magnitude=10)
        pixels = ((images * self.std + self.mean) * 255).round().clamp(0, 255).to(torch.uint8)
        # Of the CPU's generator alone, from which torchvision draws.
        strong = torch.empty_like(pixels)
        with torch.random.fork_rng(devices=[]):
            # Each image has draws of its own, whichever process has it.
            for row, position in enumerate(batch.position.tolist()):
                seed = seed_for(self._seed, "strong-view", batch.step, position)
                torch.default_generator.manual_seed(seed)
                strong[row] = augment(pixels[row])
        strong = (strong.to(images.dtype) / 255 - self.mean) / self.std
        return torch.stack([images, strong], dim=1).flatten(0, 1)

    def forward(self, student: Outputs, teacher: Outputs, batch: Batch) -> dict[str, Tensor]:
        """Return the terms ``instance``, ``batch``, ``classes``, with their weight, and ``ce``.

        Logits have shape (2 B, C), the views of an image side by side; labels (B,).
        """
        (weak_s, strong_s), (weak_t, strong_t) = (
            (upcast(network.logits[0::2]), upcast(network.logits[1::2]))
            for network in (student, teacher)
        )
        options = self.options
        first, *middle = options.temperature, 3.0, 5.0
        temperatures = (first, *middle, 2.0, 6.0)
        probabilities = weak_t.softmax(dim=1)
        images = _share_below_median(probabilities.amax(dim=1))
        classes = _share_below_median(probabilities.sum(dim=0))
        weak = [row_divergence(weak_s, weak_t, each).mean() for each in temperatures]
        strong = [row_divergence(strong_s, strong_t, each).mean() for each in (first, *middle)]
        softened = [[(z / each).softmax(dim=1) for z in (weak_s, weak_t)] for each in temperatures]
        grams_of_images = [_gram_distance(s, t) / len(s) for s, t in softened]
        grams_of_classes = [_gram_distance(s.T, t.T) / s.shape[1] for s, t in softened]
        weight = options.distillation_weight
        return {
            "instance": weight * (images * sum(weak) + sum(strong) + sum(weak[-2:])),
            "batch": weight * images * sum(grams_of_images),
            "classes": weight * classes * sum(grams_of_classes),
            "ce": options.strong_ce_weight * F.cross_entropy(strong_s, batch.labels),
        }


def _share_below_median(values: Tensor) -> Tensor:
    return (values <= values.quantile(0.5)).to(values.dtype).mean()


def _gram_distance(first: Tensor, second: Tensor) -> Tensor:
    return (first @ first.T - second @ second.T).square().sum()

"""One training step: what the training loop does with every batch, and what its cost is that of."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor, nn
from torch.optim import Optimizer

from distillery.methods.base import Batch
from distillery.models.base import Outputs
from distillery.training.distiller import Distiller, StepOutput

Teach = Callable[[Tensor], Sequence[Outputs]]
"""Gives each teacher's outputs for normalised images (B * n_views, C, H, W)."""


def training_step(
    distiller: Distiller,
    optimizer: Optimizer,
    images: Tensor,
    batch: Batch,
    teach: Teach,
    *,
    model: nn.Module | None = None,
    backward: Callable[[Tensor], object] = Tensor.backward,
    clip: Callable[[], object] | None = None,
    pretraining: bool = False,
) -> StepOutput:
    """Do one step: views, teachers, student and loss, gradients, update.

    Args:
        distiller: student and method, in training mode.
        optimizer: of what is trained; gradients are zero before and after.
        images: (B, C, H, W), normalised.
        batch: labels and rows of the images.
        teach: gives the teachers' outputs; none where there is no teacher.
        model: the distiller as several processes share it; itself when not given.
        backward: computes the gradients of a loss (), scaled in mixed precision.
        clip: scales down the gradients that ``backward`` has left.
        pretraining: whether it is a step of the method's own first stage.
    """
    views = distiller.method.make_views(images, batch)
    output: StepOutput = (model or distiller)(views, teach(views), batch, pretraining=pretraining)
    backward(output.loss)
    if clip:
        clip()
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    distiller.after_step()
    return output

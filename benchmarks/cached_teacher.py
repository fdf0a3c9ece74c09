"""A training step of resnet8x4 with cached outputs of resnet32x4, and with the live teacher."""

from __future__ import annotations

import torch
from timing import compare

from distillery.methods.base import Batch, Context
from distillery.methods.kd import KD
from distillery.models import registry
from distillery.models.base import Outputs
from distillery.models.spec import describe
from distillery.training.distiller import Distiller

BATCH, CLASSES = 64, 100
STUDENT, TEACHER = "resnet8x4", "resnet32x4"


def main() -> None:
    torch.set_num_threads(1)
    student, teacher = (registry.build(arch, num_classes=CLASSES) for arch in (STUDENT, TEACHER))
    teacher.eval().requires_grad_(False)
    specs = [describe(arch, CLASSES, 3, 32) for arch in (STUDENT, TEACHER)]
    context = Context(specs[0], specs[1], torch.arange(1000) % CLASSES, seed=0)
    distiller = Distiller(student, [KD(KD.Options(), context)], KD.weights).train()
    distiller.to(memory_format=torch.channels_last)
    teacher.to(memory_format=torch.channels_last)
    images = torch.randn(BATCH, 3, 32, 32).to(memory_format=torch.channels_last)
    batch = Batch(torch.arange(BATCH), torch.arange(BATCH) % CLASSES, epoch=0, step=0)
    with torch.no_grad():
        cached = teacher(images)

    def step(outputs: Outputs) -> None:
        distiller(images, [outputs], batch).loss.backward()

    def live() -> None:
        with torch.no_grad():
            outputs = teacher(images)
        step(outputs)

    compare({"cached teacher": lambda: step(cached), "live teacher": live}, rounds=7)


if __name__ == "__main__":
    main()

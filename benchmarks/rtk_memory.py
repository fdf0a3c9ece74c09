"""What RTK and AFD add to a training step of KD with the live teacher: memory and time.

RTK is to add at most a quarter to the memory of KD's step. resnet56 teaches resnet20 on 32 x 32
images, 64 a step, on one thread of the CPU. Memory is the most that operations hold at once beside
the networks themselves.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from timing import compare

from distillery.core.measuring import allocated_bytes
from distillery.methods import registry as methods
from distillery.methods.base import Batch, Context, Method
from distillery.models import registry as models
from distillery.models.spec import describe
from distillery.training.distiller import Distiller, run_network

BATCH, CLASSES = 64, 100
STUDENT, TEACHER = "resnet20", "resnet56"
LIMIT = 1.25
CPU = torch.device("cpu")

VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    "kd": ("kd", {}),
    "afd": ("afd", {}),
    "rtk": ("rtk", {}),
    "rtk, all layers, average pooling": ("rtk", {"k": "all", "pool": "average"}),
    "rtk, student queries, SoftPool": (
        "rtk",
        {"orientation": "student-query", "masking": "renormalise", "resize": "softpool"},
    ),
}


def main() -> None:
    torch.set_num_threads(1)
    steps = {name: new_step(*variant) for name, variant in VARIANTS.items()}
    peaks = {name: allocated_bytes(step, CPU) / 1e6 for name, step in steps.items()}
    for name, peak in peaks.items():
        print(f"{name:34} {peak:8.1f} MB   x{peak / peaks['kd']:.2f}")
    compare(steps, rounds=7)
    assert peaks["rtk"] <= LIMIT * peaks["kd"], "RTK takes more memory than it may"


def new_step(name: str, options: dict[str, Any]) -> Callable[[], None]:
    """Return a training step without that of the optimiser, as the trainer composes it."""
    torch.manual_seed(0)
    student, teacher = (models.build(arch, num_classes=CLASSES) for arch in (STUDENT, TEACHER))
    teacher.eval().requires_grad_(False).to(memory_format=torch.channels_last)
    method = new_method(name, options)
    kd = [] if name == "kd" else [new_method("kd", {})]
    distiller = Distiller(student, [method], method.weights, kd).train()
    distiller.to(memory_format=torch.channels_last)
    images = torch.randn(BATCH, 3, 32, 32).to(memory_format=torch.channels_last)
    batch = Batch(torch.arange(BATCH), torch.arange(BATCH) % CLASSES, epoch=0, step=0)

    def step() -> None:
        with torch.no_grad():
            outputs = run_network(teacher, images, method)
        distiller(images, [outputs], batch).loss.backward()
        distiller.zero_grad()

    return step


def new_method(name: str, options: dict[str, Any]) -> Method:
    """Return a method with its defaults, but for the options given."""
    kind = methods.load(name)
    specs = [describe(arch, CLASSES, 3, 32) for arch in (STUDENT, TEACHER)]
    context = Context(specs[0], specs[1], torch.arange(1000) % CLASSES, seed=0)
    return kind(kind.Options(**options), context)


if __name__ == "__main__":
    main()

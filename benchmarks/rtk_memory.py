"""What RTK and AFD add to a training step of KD with the live teacher: memory and time.

RTK is to add at most a quarter to the memory of KD's step. resnet56 teaches resnet20 on 32 x 32
images, 64 a step, on one thread of the CPU. Memory is the most that operations hold at once beside
the networks themselves.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import torch
from timing import compare
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from distillery.methods import registry as methods
from distillery.methods.base import Batch, Context, Method
from distillery.models import registry as models
from distillery.models.base import describe
from distillery.training.distiller import Distiller, run_network

BATCH, CLASSES = 64, 100
STUDENT, TEACHER = "resnet20", "resnet56"
LIMIT = 1.25

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


class Ledger(TorchDispatchMode):
    """Counts the bytes of the storages that operations make and that are still alive."""

    def __init__(self) -> None:
        super().__init__()
        self.alive = self.peak = 0
        self._known: set[int] = set()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        self._known.update(storage._cdata for storage in _storages((args, kwargs)))
        result = func(*args, **kwargs)
        for storage in _storages(result):
            self._count(storage)
        return result

    def _count(self, storage: torch.UntypedStorage) -> None:
        key, size = storage._cdata, storage.nbytes()
        if key in self._known:
            return
        self._known.add(key)
        self.alive += size
        self.peak = max(self.peak, self.alive)
        weakref.finalize(storage, self._release, key, size)

    def _release(self, key: int, size: int) -> None:
        self._known.discard(key)
        self.alive -= size


def _storages(tree: Any) -> list[torch.UntypedStorage]:
    return [leaf.untyped_storage() for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)]


def main() -> None:
    torch.set_num_threads(1)
    steps = {name: new_step(*variant) for name, variant in VARIANTS.items()}
    peaks = {name: peak_megabytes(step) for name, step in steps.items()}
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
    kd = None if name == "kd" else new_method("kd", {})
    distiller = Distiller(student, method, method.weights, kd).train()
    distiller.to(memory_format=torch.channels_last)
    images = torch.randn(BATCH, 3, 32, 32).to(memory_format=torch.channels_last)
    batch = Batch(torch.arange(BATCH), torch.arange(BATCH) % CLASSES, epoch=0, step=0)

    def step() -> None:
        with torch.no_grad():
            outputs = run_network(teacher, images, method)
        distiller(images, outputs, batch).loss.backward()
        distiller.zero_grad()

    return step


def new_method(name: str, options: dict[str, Any]) -> Method:
    """Return a method with its defaults, but for the options given."""
    kind = methods.load(name)
    specs = [describe(arch, CLASSES, 3, 32) for arch in (STUDENT, TEACHER)]
    context = Context(specs[0], specs[1], torch.arange(1000) % CLASSES, seed=0)
    return kind(kind.Options(**options), context)


def peak_megabytes(step: Callable[[], None]) -> float:
    """Return the most memory that the operations of a step hold at once."""
    with Ledger() as ledger:
        step()
    return ledger.peak / 1e6


if __name__ == "__main__":
    main()

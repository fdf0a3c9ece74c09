"""The steps that are compared: the project's, as its training loop takes it, and bare ones.

Their time is what the process computes, with one thread. On a quiet machine that is the time that
passes, and neighbours change it little.
"""

from __future__ import annotations

import contextlib
import io
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
import torch.nn.functional as F
from accelerate import Accelerator
from accelerate.state import AcceleratorState, GradientState, PartialState
from torch import Tensor

from benchmarks import made_up
from benchmarks.timing import seconds
from distillery.data.prepared import ImageSet
from distillery.data.settings import Augmentation
from distillery.embeddings.settings import ViewOrder
from distillery.embeddings.views import ViewSchedule
from distillery.methods import registry as methods
from distillery.training.assembly import Teacher, assemble
from distillery.training.optimizer import new_optimizer
from distillery.training.run import TrainingRun
from distillery.training.settings import Compute, DistillationSettings, Training

# The first steps of a slice create the state of the optimiser. Ten timed ones have one in which
# AECRD takes its diagnostics, as in training.
WARMUP, TIMED = 2, 10


@dataclass(frozen=True)
class Watched(ImageSet):
    """Images that note when each batch is asked for: at the start of every step."""

    asked: list[float]
    clock: Callable[[], float]

    def batches(self, rows: Iterable[Tensor]) -> Iterator[Tensor]:
        """Yield the images (B, H, W, C) of each batch of rows (B,)."""
        for images in super().batches(rows):
            self.asked.append(self.clock())
            yield images


class Ours:
    """A student's training step as a run takes it, from pixels to the sums that are logged."""

    def __init__(
        self,
        pair: tuple[str, str],
        method: str,
        precision: str = "no",
        *,
        images: int = made_up.IMAGES,
        classes: int = made_up.CLASSES,
        options: Mapping[str, Any] | None = None,
        compute: Mapping[str, Any] | None = None,
        test_images: int = 0,
        timed: int = TIMED,
        clock: Callable[[], float] = time.process_time,
    ) -> None:
        """Prepare it.

        Args:
            pair: teacher and student.
            method: name of the method, with its defaults.
            precision: as in ``compute.precision``.
            images: training images that the method knows of; fewer are shown.
            classes: number of classes.
            options: hyperparameters of the method.
            compute: further settings of how to compute.
            test_images: how many images it is evaluated on.
            timed: how many steps are timed in a slice.
            clock: tells the time in seconds.
        """
        teacher, student = pair
        kind = methods.load(method)
        augmentation = Augmentation(flip=True)
        self._settings = DistillationSettings(
            arch=student,
            seed=0,
            training=Training(epochs=1, batch_size=made_up.BATCH),
            compute=Compute(precision=precision, **(compute or {})),
            augmentation=augmentation,
            views=ViewOrder(slots=1, seed=0),
            method=method,
            options=kind.Options(**(options or {})).model_dump(mode="json"),
            weights=kind.weights,
            kd_temperature=None,
            ensemble=None,
            joint_temperature=None,
        )
        # One batch more than are timed, so that the last timed step has an end.
        shown = made_up.image_set((WARMUP + timed + 1) * made_up.BATCH, classes)
        self._timed = timed
        self._images = Watched(shown.images, shown.labels, shown.index, [], clock)
        self._info = made_up.info(classes)
        accelerator = accelerator_of(precision)
        self.run = TrainingRun(
            SimpleNamespace(record={}),  # type: ignore[arg-type]
            self._settings,
            accelerator,
            self._info,
            self._info,
            self._images,
            {"test": made_up.image_set(test_images, classes)} if test_images else {},
        )
        self.student = self.run.new_network()
        specs = [self.run.describe(arch) for arch in (student, teacher)]
        self._distiller = assemble(
            self.student,
            self._settings,
            specs[0],
            [Teacher(specs[1])],
            made_up.labels(images, classes),
            self._info,
        )
        schedule = ViewSchedule(augmentation.views, 1, 0)
        views = torch.from_numpy(schedule.view(0, shown.index.numpy()))
        self._cache = made_up.CachedOutputs(teacher, schedule, views, classes)

    def __call__(self) -> float:
        """Return the mean seconds of a step over a short epoch, without its start and end."""
        self._images.asked.clear()
        with tempfile.TemporaryDirectory() as scratch, contextlib.redirect_stderr(io.StringIO()):
            self.run.work.scratch = Path(scratch)
            self.run.fit(self._distiller, caches=[self._cache])  # type: ignore[list-item]
        asked = self._images.asked
        return (asked[WARMUP + self._timed] - asked[WARMUP]) / self._timed

    def evaluation(self) -> float:
        """Return the seconds of measuring the accuracy, per test image."""
        self.student.eval()
        taken = seconds(lambda: self.run.accuracies(self.student), self._images.clock)
        return taken / len(self.run.held_out["test"])


class Bare:
    """Forward, cross-entropy, backward and update: no less can train a network."""

    def __init__(
        self, arch: str, precision: str = "no", compiled: Callable[[Any], Any] = lambda net: net
    ) -> None:
        """Prepare the step on one batch of normalised images.

        Args:
            arch: what is trained.
            precision: as in ``compute.precision``.
            compiled: wraps the network.
        """
        network = made_up.network(arch)
        self._network, self._precision = compiled(network), precision
        self._images, self._labels = made_up.normalised(), made_up.labels(made_up.BATCH)
        self._optimizer = new_optimizer(network.parameters(), Training(), lr=0.05)

    def step(self) -> None:
        """Take one step."""
        with in_precision(self._precision):
            logits = self._network(self._images).logits
        F.cross_entropy(logits.float(), self._labels).backward()
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)

    def __call__(self) -> float:
        """Return the mean seconds of a step."""
        return mean_seconds(self.step)


def mean_seconds(
    step: Callable[[], object],
    warmup: int = WARMUP,
    timed: int = TIMED,
    clock: Callable[[], float] = time.process_time,
) -> float:
    """Return the mean seconds of a step over a few calls, after some that do not count."""
    for _ in range(warmup):
        step()
    return seconds(lambda: [step() for _ in range(timed)], clock) / timed


def in_precision(precision: str) -> contextlib.AbstractContextManager[object]:
    """Return the context of mixed precision on the CPU."""
    return torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16")


def accelerator_of(precision: str) -> Accelerator:
    """Return an accelerator for one CPU process, whatever precision the last one had."""
    for state in (AcceleratorState, PartialState, GradientState):
        state._reset_state()
    return Accelerator(cpu=True, mixed_precision=precision)

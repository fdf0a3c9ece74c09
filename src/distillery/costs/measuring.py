"""How long steps of networks and methods take here: the loop's own steps on made-up images.

A step is all that the training loop does with a batch: fetching and augmenting its images, the
teachers, the student, the loss, gradients and update. Images are noise, weights are random, and a
learning rate of zero keeps them.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from distillery.core.randomness import torch_generator
from distillery.core.settings import FrozenModel
from distillery.costs.machine import device
from distillery.costs.work import Network, Teaching, Training
from distillery.data.info import DataSetInfo
from distillery.data.prepared import ImageSet
from distillery.embeddings.views import ViewSchedule
from distillery.methods import registry as methods
from distillery.methods.base import Weights
from distillery.models import registry as models
from distillery.models.base import Classifier, Outputs
from distillery.models.inference import images_at_a_time
from distillery.training.assembly import Teacher, assemble
from distillery.training.distiller import Distiller, run_teachers
from distillery.training.loader import Item, ViewLoader
from distillery.training.optimizer import new_optimizer
from distillery.training.settings import DistillationSettings
from distillery.training.step import training_step

Name = TypeVar("Name", bound=Hashable)
Precision = Literal["no", "bf16", "fp16"]
_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}
# Outputs of teachers that are made up; the cache has them of all images.
_STORED = 4096


@dataclass(frozen=True)
class Timed:
    """Something to time.

    Attributes:
        call: does it once.
        images: how many images it does it for.
    """

    call: Callable[[], object]
    images: int


class MethodCost(FrozenModel):
    """What a method costs beside student and teachers."""

    seconds: float
    """Seconds of a step."""
    first_stage: int
    """Epochs of a stage before the distillation proper."""


def seconds_of(parts: Mapping[Name, Timed], seconds: float) -> dict[Name, float]:
    """Return the median seconds of each part, which are called in turn.

    So a machine that slows down slows all of them down. The first call of each is not counted.

    Args:
        parts: name -> what to time.
        seconds: how long to go on, over all of them; each is timed once at least.
    """
    for part in parts.values():
        _once(part)
    taken: dict[Name, list[float]] = {name: [] for name in parts}
    end = time.perf_counter() + seconds
    while True:
        for name, part in parts.items():
            taken[name].append(_once(part))
        if time.perf_counter() >= end:
            return {name: float(np.median(times)) for name, times in taken.items()}


def training_step_of(training: Training, precision: Precision, *, compiled: bool = False) -> Timed:
    """Return the step of a training with cross-entropy alone.

    Args:
        training: what is trained.
        precision: mixed precision of the network.
        compiled: whether the network is compiled by torch first.
    """
    return _Step(training, precision, compiled=compiled).timed


def method_of(training: Training, teaching: Teaching, seconds: float) -> MethodCost:
    """Return what a method adds to the step of a student, in single precision.

    Args:
        training: of the student.
        teaching: the method and its teachers.
        seconds: how long to measure.
    """
    plain = training_step_of(training, "no")
    step = _Step(training, "no", teaching)
    parts = {"student": plain, "step": step.timed, "teachers": Timed(step.teach_alone, step.size)}
    taken = seconds_of(parts, seconds)
    stage = step.distiller.method.pretraining()
    rest = taken["step"] - taken["student"] * teaching.views
    if teaching.live:
        rest -= taken["teachers"]
    return MethodCost(seconds=max(rest, 0.0), first_stage=stage.epochs if stage else 0)


def inference_of(network: Network, batch: int) -> Timed:
    """Return the classification of a batch of images by a network, in single precision."""
    on = device()
    classifier = _new(network, on).eval()
    shape = (batch, network.channels, network.side, network.side)
    images = torch.randn(shape, generator=torch_generator(0, "noise")).to(on)

    @torch.inference_mode()
    def classify() -> None:
        classifier(images)

    return Timed(classify, batch)


def evaluation_batch(network: Network) -> int:
    """Return how many images a run shows this network at a time when it is tested."""
    return images_at_a_time(network.side, network.side, device().type)


class _Autocast(nn.Module):
    """A module that computes in mixed precision, as Accelerate makes it."""

    def __init__(self, module: nn.Module, precision: Precision, on: torch.device) -> None:
        super().__init__()
        self._module, self._on, self._dtype = module, on, _DTYPES.get(precision)

    def forward(self, *arguments: Any, **named: Any) -> Any:
        with self.precision():
            return self._module(*arguments, **named)

    def precision(self) -> torch.autocast:
        """Return the context of what is computed in this precision."""
        return torch.autocast(self._on.type, self._dtype, enabled=self._dtype is not None)


class _Step:
    """A training step that can be done over and over."""

    def __init__(
        self,
        training: Training,
        precision: Precision,
        teaching: Teaching | None = None,
        *,
        compiled: bool = False,
    ) -> None:
        self._on = device()
        torch.set_num_threads(training.settings.compute.threads)
        self._live = [_new(each, self._on).eval() for each in _live(teaching)]
        loader = _loader(training, self._on)
        student = _new(training.network, self._on)
        self.distiller = _distiller(training, teaching, student, self._live, loader)
        self.distiller.to(self._on).to(memory_format=torch.channels_last).train()
        self.distiller.finish_pretraining()
        if compiled:
            self.distiller.compile_student()
        self._model = _Autocast(self.distiller, precision, self._on)
        self._stored = [_stored(each, len(loader.images), self._on) for each in _cached(teaching)]
        self._optimizer = new_optimizer(
            self.distiller.parameters(), training.settings.training, lr=0.0
        )
        self._items = _endless(loader)
        self._item = next(self._items)
        self.size = len(self._item.images)

    @property
    def timed(self) -> Timed:
        return Timed(self, self.size)

    def __call__(self) -> None:
        item = next(self._items)
        # An epoch's last batch may be smaller, and would take less time.
        self._item = item if len(item.images) == self.size else self._item
        item = self._item

        def teach(images: Tensor) -> Sequence[Outputs]:
            return self._teach(images, item)

        training_step(
            self.distiller, self._optimizer, item.images, item.batch, teach, model=self._model
        )

    def teach_alone(self) -> None:
        """Get the teachers' outputs for a batch."""
        item = self._item
        self._teach(self.distiller.method.make_views(item.images, item.batch), item)

    def _teach(self, images: Tensor, item: Item) -> Sequence[Outputs]:
        if self._live:
            with self._model.precision():
                return run_teachers(self._live, images, self.distiller.method)
        rows = item.batch.position % _STORED
        return [
            Outputs(logits[rows].float(), embedding[rows].float())
            for logits, embedding in self._stored
        ]


def _once(part: Timed) -> float:
    _wait()
    start = time.perf_counter()
    part.call()
    _wait()
    return time.perf_counter() - start


def _wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def _new(network: Network, on: torch.device) -> Classifier:
    built = models.build(
        network.arch,
        num_classes=network.classes,
        in_channels=network.channels,
        image_size=network.side,
    ).to(on)
    return built.to(memory_format=torch.channels_last)


def _live(teaching: Teaching | None) -> tuple[Network, ...]:
    return teaching.teachers if teaching and teaching.live else ()


def _cached(teaching: Teaching | None) -> tuple[Network, ...]:
    return teaching.teachers if teaching and not teaching.live else ()


def _distiller(
    training: Training,
    teaching: Teaching | None,
    student: Classifier,
    live: Sequence[Classifier],
    loader: ViewLoader,
) -> Distiller:
    """Return student and method; without ``teaching`` the student with cross-entropy alone."""
    settings = teaching.settings if teaching else _without_method(training)
    needs_heads = "classifier" in methods.load(settings.method).needs
    cached = _cached(teaching) if needs_heads else ()
    heads = [_new(each, loader.images.images.device).head for each in cached]
    specs = [each.spec for each in (teaching.teachers if teaching else ())]
    teachers = [Teacher(*each) for each in itertools.zip_longest(specs, live, heads)]
    labels = loader.images.labels.cpu()
    return assemble(student, settings, training.network.spec, teachers, labels, loader.info)


def _without_method(training: Training) -> DistillationSettings:
    fields = {
        name: getattr(training.settings, name) for name in type(training.settings).model_fields
    }
    own = {
        "method": "ce",
        "options": {},
        "weights": Weights(),
        "kd_temperature": None,
        "ensemble": None,
        "joint_temperature": None,
    }
    return DistillationSettings.model_validate(fields | own)


def _loader(training: Training, on: torch.device) -> ViewLoader:
    """Return a loader of noise that does what the run's does; all its images are one in memory."""
    settings, network, count = training.settings, training.network, training.images
    side, channels = training.image_side, network.channels
    noise = torch.randint(256, (1, side, side, channels), dtype=torch.uint8)
    labels = torch.arange(count) % network.classes
    images = ImageSet(noise.expand(count, -1, -1, -1), labels, torch.arange(count))
    info = DataSetInfo(
        name="noise",
        classes=tuple(map(str, range(network.classes))),
        shape=(side, side, channels),
        mean=(0.5,) * channels,
        std=(0.25,) * channels,
        counts={"train": count, "test": 0},
        per_class={"train": (), "test": ()},
        shared=0,
        origin={},
    )
    views = settings.views
    return ViewLoader(
        ImageSet(images.images.to(on), labels.to(on), images.index.to(on)),
        info,
        settings.augmentation,
        ViewSchedule(settings.augmentation.views, views.slots, views.seed),
        batch_size=settings.training.batch_size,
        instances=settings.training.instances,
        seed=settings.seed,
    )


def _endless(loader: ViewLoader) -> Any:
    return itertools.chain.from_iterable(loader.epoch(epoch) for epoch in itertools.count())


def _stored(network: Network, count: int, on: torch.device) -> tuple[Tensor, Tensor]:
    """Return made-up outputs of a teacher as a slot has them, (rows, C) and (rows, D)."""
    random, rows = torch_generator(0, "cached-outputs"), _STORED
    logits, embedding = (
        torch.rand(rows, width, generator=random).to(on, torch.float16)
        for width in (network.classes, network.spec.embedding_dim)
    )
    return logits, embedding

"""The training step of a finished student, rebuilt from what it was trained with."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import zip_longest

import torch
from pyarrow import csv
from torch import Tensor, nn

from distillery.core.measuring import module_bytes, tensor_bytes
from distillery.core.randomness import torch_generator
from distillery.data.info import DataSetInfo
from distillery.embeddings import embed
from distillery.evaluation.base import inputs_of_training
from distillery.methods import registry as methods
from distillery.methods.base import Batch
from distillery.methods.ce import CrossEntropy
from distillery.models.base import Classifier, ModelSpec, Outputs
from distillery.models.settings import architecture_of
from distillery.models.spec import describe
from distillery.models.weights import channels_of, load_network
from distillery.runs.artifact import Artifact
from distillery.training import sampler
from distillery.training.assembly import Teacher, assemble, numbered
from distillery.training.distiller import Distiller, run_teachers
from distillery.training.optimizer import new_optimizer
from distillery.training.settings import DistillationSettings, Training
from distillery.training.step import Teach, training_step

# What differs in the settings of a student that has no method.
_CROSS_ENTROPY = {
    "method": "ce",
    "options": {},
    "weights": CrossEntropy.weights,
    "kd_temperature": None,
    "ensemble": None,
    "joint_temperature": None,
}


class RepeatedStep:
    """The step of the training loop, over and over on one batch."""

    def __init__(
        self, distiller: Distiller, teach: Teach, images: Tensor, batch: Batch, training: Training
    ) -> None:
        """Prepare the step.

        Args:
            distiller: student, method and weights, in training mode.
            teach: gives the teachers' outputs for images.
            images: (B, C, H, W).
            batch: positions and labels of the images.
            training: settings of the optimiser.
        """
        self.distiller = distiller
        self.images = images
        self.batch = batch
        self._teach = teach
        self._views = distiller.method.make_views(images, batch)
        self._clip = self._clipping(training.clip_norm)
        # The networks stay as they are, and the work is the same.
        self.optimizer = new_optimizer(distiller.parameters(), training, lr=0.0)

    def __call__(self) -> None:
        """Do the whole step."""
        training_step(
            self.distiller,
            self.optimizer,
            self.images,
            self.batch,
            self._teach,
            clip=self._clip,
        )

    def _clipping(self, norm: float | None) -> Callable[[], object] | None:
        parameters = list(self.distiller.parameters())
        return partial(nn.utils.clip_grad_norm_, parameters, norm) if norm else None

    def teach(self) -> None:
        """Get the teachers' outputs alone."""
        self._teach(self._views)

    @property
    def held_bytes(self) -> int:
        """Bytes of what lasts from step to step; to be read after a first step."""
        states = [
            value
            for state in self.optimizer.state.values()
            for value in state.values()
            if isinstance(value, Tensor)
        ]
        batch = [self.images, self.batch.position, self.batch.labels]
        return module_bytes(self.distiller) + tensor_bytes([*states, *batch])


@dataclass(frozen=True)
class StudentSteps:
    """The training step of a student, and the same student's with cross-entropy alone.

    Attributes:
        full, plain: the two.
        teachers: shapes of the teachers.
        held_by_teachers: bytes of the networks that are run.
    """

    full: RepeatedStep
    plain: RepeatedStep
    teachers: list[ModelSpec]
    held_by_teachers: int


def rebuild(
    inputs: Mapping[str, Artifact],
    settings: DistillationSettings,
    info: DataSetInfo,
    device: torch.device,
) -> StudentSteps:
    """Rebuild the training step of the input ``network``.

    Args:
        inputs: the network, and what it was trained with.
        settings: those of the network.
        info: of its whole data set.
        device: where to compute.
    """
    trained = inputs["network"]
    trained_with = inputs_of_training(inputs)
    sources, cached_as = _teachers(trained_with)
    # Random boxes can have another size than the whole images that are classified.
    side = settings.augmentation.output_side(info.shape[0])
    spec, *specs = (describe_trained(network, info, side) for network in (trained, *sources))
    networks = [None] * len(sources)
    if cached_as is None or "classifier" in methods.load(settings.method).needs:
        networks = [load(source, info, device) for source in sources]  # type: ignore[misc]
    return steps_of(
        load(trained, info, device).requires_grad_(True),
        settings,
        spec,
        list(zip(specs, networks, strict=True)),
        cached_as,
        _labels(trained_with["split"]),
        architecture_of(trained).seen(info),
        device,
    )


def steps_of(
    student: Classifier,
    settings: DistillationSettings,
    spec: ModelSpec,
    taught_by: Sequence[tuple[ModelSpec, Classifier | None]],
    cached_as: torch.dtype | None,
    labels: Tensor,
    info: DataSetInfo,
    device: torch.device,
) -> StudentSteps:
    """Return the training step of a student.

    Args:
        student: the network that is trained, on the device.
        settings: what it is trained with.
        spec: its shape.
        taught_by: shapes of its teachers, and the teachers where they or their heads are needed.
        cached_as: how outputs of the teachers are stored; None if the teachers are run.
        labels: (n,) int64 on the CPU, of the training set.
        info: of the data set, as the student sees it.
        device: where to compute.
    """
    specs = [described for described, _ in taught_by]
    networks = [network for _, network in taught_by if network is not None]
    live = [] if cached_as else networks
    heads = [network.head for network in networks] if cached_as else []
    teachers = [Teacher(*each) for each in zip_longest(specs, live, heads)]

    def ready(settings: DistillationSettings, teachers: Sequence[Teacher]) -> Distiller:
        distiller = assemble(student, settings, spec, teachers, labels, info)
        return distiller.to(device).to(memory_format=torch.channels_last).train()

    distiller = ready(settings, teachers)
    distiller.finish_pretraining()
    plain = ready(settings.model_copy(update=_CROSS_ENTROPY), [])
    training = settings.training
    batch = _batch(labels, training, settings.seed, device)
    images = noise(spec, len(batch.labels), device)
    teach: Teach = partial(run_teachers, live, method=distiller.method)
    no_teacher: Teach = partial(run_teachers, (), method=plain.method)
    if cached_as:
        teach = _from_cache(specs, len(images), cached_as, device)
    return StudentSteps(
        full=RepeatedStep(distiller, teach, images, batch, training),
        plain=RepeatedStep(plain, no_teacher, images, batch, training),
        teachers=specs,
        held_by_teachers=sum(module_bytes(network) for network in live),
    )


def describe_trained(trained: Artifact, info: DataSetInfo, side: int) -> ModelSpec:
    """Return a network's shape for images with sides of ``side``."""
    channels = info.of_channels(channels_of(trained)).shape[2]
    return describe(architecture_of(trained).arch, len(info.classes), channels, side)


def load(trained: Artifact, info: DataSetInfo, device: torch.device) -> Classifier:
    """Return a trained network on a device, in the memory format of training."""
    network = load_network(trained, info).to(device)
    return network.to(memory_format=torch.channels_last)


def noise(spec: ModelSpec, images: int, device: torch.device) -> Tensor:
    """Return made-up normalised images (B, C, H, W)."""
    shape = (images, spec.in_channels, spec.image_size, spec.image_size)
    return torch.randn(shape, generator=torch_generator(0, "noise")).to(device)


def _teachers(inputs: Mapping[str, Artifact]) -> tuple[list[Artifact], torch.dtype | None]:
    """Return the teachers of a student, and how their outputs are cached if they are."""
    caches = numbered(inputs, "embeddings")
    if not caches:
        return numbered(inputs, "teacher"), None
    precision = embed.Settings.model_validate(caches[0].settings).precision
    return numbered(inputs, "cached"), embed.PRECISIONS[precision]


def _from_cache(
    teachers: Sequence[ModelSpec], images: int, stored_as: torch.dtype, device: torch.device
) -> Teach:
    """Read made-up outputs as a training step reads those in a slot of the cache."""
    random = torch_generator(0, "cached-outputs")
    rows = torch.randperm(images, generator=random).to(device)
    stored = [
        tuple(
            torch.rand(images, width, generator=random).to(device, stored_as)
            for width in (teacher.num_classes, teacher.embedding_dim)
        )
        for teacher in teachers
    ]

    def teach(images: Tensor) -> Sequence[Outputs]:
        return [
            Outputs(logits[rows].float(), embedding[rows].float()) for logits, embedding in stored
        ]

    return teach


def _batch(labels: Tensor, training: Training, seed: int, device: torch.device) -> Batch:
    """Return a batch of the last epoch, drawn as the run draws its batches."""
    order = sampler.order(labels.numpy(), training.batch_size, training.instances, seed, 0)
    position = torch.from_numpy(order[: training.batch_size].copy())
    epoch = training.epochs - 1
    step = epoch * (len(order) // training.batch_size)
    return Batch(position.to(device), labels[position].to(device), epoch, step)


def _labels(split: Artifact) -> Tensor:
    """Return the labels (n,) of the images that a student was trained with."""
    return torch.from_numpy(csv.read_csv(split.file("train.csv"))["label"].to_numpy().copy())

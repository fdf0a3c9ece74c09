"""What it costs to train a student with its method, and to run it.

The training step is that of the run itself: its method with its options, its weights, its batch
size and sampler, the teachers run live or read from a cache as in the run. Images are noise of the
data set's shape, computation is in single precision, the networks have their trained weights, and
a learning rate of zero keeps them. Schedules of the method are those of the last epoch, after any
stage of its own.

FLOPs are those of convolutions and matrix products as torch counts them, multiplications and
additions apart; elementwise operations, sorting and gathering do not count.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from pyarrow import csv
from pydantic import Field
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile

from distillery.core.devices import device_for_inference
from distillery.core.errors import UserError
from distillery.core.measuring import Clock, summary, write_timings
from distillery.core.randomness import torch_generator
from distillery.core.settings import FrozenModel
from distillery.data.info import DataSetInfo
from distillery.data.settings import Augmentation
from distillery.evaluation.context import TRAINED_WITH
from distillery.methods.base import Batch
from distillery.methods.ce import CrossEntropy
from distillery.models import registry as models
from distillery.models.base import Classifier, ModelSpec, Outputs, describe
from distillery.models.weights import channels_of, load_network
from distillery.runs.artifacts import Artifact
from distillery.training import sampler
from distillery.training.assembly import Networks, assemble, numbered
from distillery.training.distiller import Distiller, run_teachers
from distillery.training.optimizer import sgd
from distillery.training.settings import Training

if TYPE_CHECKING:
    from distillery.evaluation.context import PlanContext
    from distillery.runs.artifacts import Workspace

Teach = Callable[[Tensor], Outputs]

TITLE = "Computation cost"
USES_METHOD = True

_MIB = 2**20
_CACHED_AS = {"half": torch.float16, "single": torch.float32}
# What differs in the settings of a run that has no method.
_CROSS_ENTROPY = {
    "method": "ce",
    "options": {},
    "weights": CrossEntropy.weights.model_dump(),
    "kd_temperature": None,
    "ensemble": None,
    "joint_temperature": None,
}


class Options(FrozenModel):
    """Options of the protocol."""

    warmup: int = Field(default=50, ge=1, le=10_000)
    """Steps before the timed ones."""
    repeats: int = Field(default=200, ge=2, le=100_000)
    """Timed steps."""
    batch_size: int | None = Field(default=None, ge=2, le=65_536)
    """Images a step, or all training images if there are fewer; as many as in training when not
    given (64 for an imported network)."""
    threads: int = Field(default=1, ge=1, le=256)
    """CPU threads."""


def check(options: Options, known: PlanContext) -> None:
    """Raise ``UserError`` when the run's class-balanced batches cannot be so large."""
    instances = known.training.get("instances")
    if options.batch_size and instances and options.batch_size % instances:
        raise UserError(
            f"options.batch_size: found {options.batch_size}; allowed are multiples of "
            f"training.instances, {instances}"
        )


def run(work: Workspace) -> None:
    """Write ``metrics.json`` and, one timing a row, ``details.parquet``.

    Of every network: ``parameters``; ``flops`` of one image forward; ``image_ms`` and ``batch_ms``,
    the time to classify one image and a batch of ``batch_size``.

    Of students, moreover:

    * ``teacher_parameters`` and ``teacher_flops``, of all teachers together; ``method_parameters``,
      trained beside the student; ``method_state_mb``, what the method keeps between steps;
    * ``step_ms`` of a training step, which is ``student_ms``, that of a step with cross-entropy
      alone, and ``teacher_ms``, running the teachers or reading the cached outputs, and
      ``loss_ms``, the rest: all that the method adds;
    * ``step_flops`` of a training step, and ``loss_flops``, the rest of them likewise;
    * ``step_memory_mb`` and ``student_memory_mb``, the peak memory of a training step and of one
      with cross-entropy alone: weights, states, the batch, and what the step allocates.

    Times are medians in milliseconds, with the quartiles ``..._q1`` and ``..._q3``; memory is in
    MiB. The rest is a difference of measurements, and may be a little below zero.
    Columns of the details: ``measure`` (a time's name without ``_ms``), ``repeat``,
    ``milliseconds``, ``device``.
    """
    options = Options(**work.run.settings["options"])
    torch.set_num_threads(options.threads)
    device = device_for_inference(work.record)
    network = work.inputs["network"]
    info = DataSetInfo.load(work.inputs["prepared"])
    clock = Clock(device, options.warmup, options.repeats)
    training = training_of(network, options.batch_size)
    spec = _describe(network, info, info.shape[0])
    figures: dict[str, float] = {"parameters": spec.parameters, "flops": forward_flops(spec)}
    times: dict[str, np.ndarray] = {}
    size = training.batch_size
    if "method" in network.settings:
        steps = training_steps(work.inputs, info, training, device)
        times = clock.time(steps.parts())
        times["loss"] = times["step"] - times["student"] - times["teacher"]
        size = len(steps.full.images)
        figures |= steps.figures()
    times |= clock.time(_inference(_load(network, info, device), _noise(spec, size, device)))
    figures["batch_size"] = size
    work.write_json("metrics.json", figures | summary(times))
    write_timings(work.out / "details.parquet", times, str(work.record["device"]))


def forward_flops(spec: ModelSpec) -> int:
    """Return the FLOPs of classifying one image, counted without computing anything."""
    with torch.device("meta"), torch.no_grad():
        network = models.build(
            spec.arch, num_classes=spec.num_classes, in_channels=spec.in_channels
        )
        image = torch.empty(1, spec.in_channels, spec.image_size, spec.image_size)
        return count_flops(lambda: network.eval()(image))


def count_flops(compute: Callable[[], object]) -> int:
    """Return the FLOPs of ``compute``, those of its backward passes included."""
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        compute()
    return int(counter.get_total_flops())


def allocated_bytes(compute: Callable[[], object], device: torch.device) -> int:
    """Return how many bytes ``compute`` has allocated at its peak, beside what was held before."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        compute()
        return torch.cuda.max_memory_allocated(device) - before
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as recorded:
        compute()
    with tempfile.TemporaryDirectory() as folder:
        # The trace is the one public place that has single allocations, not sums of operations.
        trace = Path(folder) / "trace.json"
        recorded.export_chrome_trace(str(trace))
        events = json.loads(trace.read_text(encoding="utf-8"))["traceEvents"]
    changes = sorted(
        (event["ts"], event["args"]["Ev Idx"], event["args"]["Bytes"])
        for event in events
        if event["name"] == "[memory]"
    )
    return int(np.cumsum([0, *(size for *_, size in changes)]).max())


class Step:
    """A training step as the training loop makes it, over and over on one batch."""

    def __init__(
        self,
        distiller: Distiller,
        teach: Teach | None,
        images: Tensor,
        batch: Batch,
        training: Training,
    ) -> None:
        """Prepare the step.

        Args:
            distiller: student, method and weights, in training mode.
            teach: gives the teachers' outputs for images; None where there is no teacher.
            images: (B, C, H, W).
            batch: places and labels of the images.
            training: settings of the optimiser.
        """
        self.distiller = distiller
        self.images = images
        self.batch = batch
        self._teach = teach
        self._expanded = distiller.method.make_views(images)
        # The networks stay as they are, and the work is the same.
        self.optimizer = sgd(distiller.parameters(), training, lr=0.0)

    def __call__(self) -> None:
        """Do the whole step."""
        method = self.distiller.method
        images = method.make_views(self.images)
        teacher = self._teach(images) if self._teach else None
        self.distiller(images, teacher, self.batch).loss.backward()
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        method.after_step()

    def teach(self) -> None:
        """Get the teachers' outputs alone."""
        if self._teach:
            self._teach(self._expanded)

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
class Steps:
    """The training step of a run, and the same student's with cross-entropy alone.

    Attributes:
        full, plain: the two.
        teachers: shapes of the teachers.
        held_by_teachers: bytes of the networks that are run, or of the cached outputs.
    """

    full: Step
    plain: Step
    teachers: list[ModelSpec]
    held_by_teachers: int

    def parts(self) -> dict[str, Callable[[], object]]:
        """Return what is timed."""
        return {"step": self.full, "student": self.plain, "teacher": self.full.teach}

    def figures(self) -> dict[str, float]:
        """Return what is counted."""
        method, device = self.full.distiller.method, self.full.images.device
        step, student, teacher = (count_flops(part) for part in self.parts().values())
        held = self.full.held_bytes + self.held_by_teachers
        return {
            "teacher_parameters": sum(spec.parameters for spec in self.teachers),
            "teacher_flops": sum(forward_flops(spec) for spec in self.teachers),
            "method_parameters": sum(each.numel() for each in method.parameters()),
            "method_state_mb": tensor_bytes(method.buffers()) / _MIB,
            "step_flops": step,
            "loss_flops": step - student - teacher,
            "step_memory_mb": (held + allocated_bytes(self.full, device)) / _MIB,
            "student_memory_mb": (self.plain.held_bytes + allocated_bytes(self.plain, device))
            / _MIB,
        }


def tensor_bytes(tensors: Iterable[Tensor]) -> int:
    """Return the size of tensors that share no memory."""
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def module_bytes(module: nn.Module) -> int:
    """Return the size of a module's parameters and buffers."""
    return tensor_bytes([*module.parameters(), *module.buffers()])


def _inference(network: Classifier, images: Tensor) -> dict[str, Callable[[], object]]:
    @torch.inference_mode()
    def classify(count: int) -> None:
        network(images[:count])

    return {"image": lambda: classify(1), "batch": lambda: classify(len(images))}


def training_steps(
    inputs: Mapping[str, Artifact], info: DataSetInfo, training: Training, device: torch.device
) -> Steps:
    """Rebuild the training step of the input ``network`` from what it was trained with."""
    trained = inputs["network"]
    settings = trained.settings
    sources, cached_as = _teachers(inputs)
    # Random boxes can have another size than the whole images that are classified.
    side = Augmentation(**settings["augmentation"]).output_side(info.shape[0])
    spec, *specs = (_describe(network, info, side) for network in (trained, *sources))
    live = [] if cached_as else [_load(source, info, device) for source in sources]
    labels = _labels(inputs[f"{TRAINED_WITH}split"])
    student = _load(trained, info, device).requires_grad_(True)
    distiller = _ready(assemble(student, settings, Networks(spec, specs, live), labels), device)
    distiller.method.finish_pretraining()
    plain = assemble(student, settings | _CROSS_ENTROPY, Networks(spec, [], []), labels)
    batch = _batch(labels, training, settings["seed"], device)
    images = _noise(spec, len(batch.labels), device)
    teach = None
    if cached_as:
        teach = _from_cache(specs, len(images), cached_as, device)
    elif live:
        teach = partial(run_teachers, live, method=distiller.method)
    return Steps(
        full=Step(distiller, teach, images, batch, training),
        plain=Step(_ready(plain, device), None, images, batch, training),
        teachers=specs,
        held_by_teachers=sum(module_bytes(network) for network in live),
    )


def _teachers(inputs: Mapping[str, Artifact]) -> tuple[list[Artifact], torch.dtype | None]:
    """Return the teachers of a student, and how their outputs are cached if they are."""
    own = {
        name.removeprefix(TRAINED_WITH): source
        for name, source in inputs.items()
        if name.startswith(TRAINED_WITH)
    }
    caches = numbered(own, "embeddings")
    if not caches:
        return numbered(own, "teacher"), None
    return numbered(own, "cached"), _CACHED_AS[caches[0].settings["precision"]]


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

    def teach(images: Tensor) -> Outputs:
        first, *others = (
            Outputs(logits[rows].float(), embedding[rows].float()) for logits, embedding in stored
        )
        return first._replace(others=tuple(others))

    return teach


def _ready(distiller: Distiller, device: torch.device) -> Distiller:
    return distiller.to(device).to(memory_format=torch.channels_last).train()


def _batch(labels: Tensor, training: Training, seed: int, device: torch.device) -> Batch:
    """Return a batch of the last epoch, drawn as the run draws its batches."""
    shown = sampler.order(labels.numpy(), training.batch_size, training.instances, seed, 0)
    position = torch.from_numpy(shown[: training.batch_size].copy())
    epoch = training.epochs - 1
    step = epoch * (len(shown) // training.batch_size)
    return Batch(position.to(device), labels[position].to(device), epoch, step)


def training_of(trained: Artifact, batch_size: int | None) -> Training:
    """Return the settings of a training run, with another batch size if one is given."""
    # Imported networks were not trained here.
    training = Training(**trained.settings.get("training", {}))
    if batch_size is None:
        return training
    return training.model_copy(update={"batch_size": batch_size})


def _labels(split: Artifact) -> Tensor:
    """Return the labels (n,) of the images that a student was trained with."""
    return torch.from_numpy(csv.read_csv(split.file("train.csv"))["label"].to_numpy().copy())


def _describe(trained: Artifact, info: DataSetInfo, side: int) -> ModelSpec:
    """Return a network's shape for images with sides of ``side``."""
    channels = info.of_channels(channels_of(trained)).shape[2]
    return describe(trained.settings["arch"], len(info.classes), channels, side)


def _load(trained: Artifact, info: DataSetInfo, device: torch.device) -> Classifier:
    network = load_network(trained, info).to(device)
    return network.to(memory_format=torch.channels_last)


def _noise(spec: ModelSpec, images: int, device: torch.device) -> Tensor:
    """Return made-up normalised images (B, C, H, W)."""
    shape = (images, spec.in_channels, spec.image_size, spec.image_size)
    return torch.randn(shape, generator=torch_generator(0, "noise")).to(device)

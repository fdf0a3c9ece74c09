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

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from distillery.core.devices import device_for_inference
from distillery.core.errors import UserError
from distillery.core.measuring import (
    MIB,
    Clock,
    allocated_bytes,
    count_flops,
    summary,
    tensor_bytes,
    timings,
)
from distillery.core.settings import FrozenModel
from distillery.data.info import DataSetInfo
from distillery.evaluation.base import METRICS, Protocol, write_details
from distillery.evaluation.student_steps import (
    StudentSteps,
    describe_trained,
    load,
    noise,
    rebuild,
)
from distillery.models.base import Classifier
from distillery.models.cost import forward_flops
from distillery.training.selected import Tunable
from distillery.training.settings import (
    DistillationSettings,
    NetworkSettings,
    Training,
    network_settings,
)

if TYPE_CHECKING:
    from distillery.evaluation.context import PlanContext
    from distillery.runs.artifact import Artifact
    from distillery.runs.produce import Workspace


class Computation(Protocol):
    """Time, FLOPs and memory of a training step, and of classifying images."""

    title = "Computation cost"
    exclusive = True
    uses_device = True
    uses_method = True
    trained_with = frozenset({"split", "teacher", "embeddings", "cached"})

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

    options: Options

    def check(self, context: PlanContext) -> None:
        """Check that class-balanced batches can have the size that is asked for.

        Raises:
            UserError: it is no multiple of the run's ``instances``.
        """
        size, instances = self.options.batch_size, context.training and context.training.instances
        if size and instances and size % instances:
            raise UserError(
                f"options.batch_size: found {size}; allowed are multiples of training.instances, "
                f"{instances}"
            )

    def run(self, work: Workspace) -> None:
        """Write ``metrics.json`` and, one timing a row, ``details.parquet``.

        Of every network: ``parameters``; ``flops`` of one image forward; ``image_ms`` and
        ``batch_ms``, the time to classify one image and a batch of ``batch_size``.

        Of students, moreover:

        * ``teacher_parameters`` and ``teacher_flops``, of all teachers together;
          ``method_parameters``, trained beside the student; ``method_state_mb``, what the method
          keeps between steps;
        * ``step_ms`` of a training step, which is ``student_ms``, that of a step with cross-entropy
          alone, and ``teacher_ms``, running the teachers or reading the cached outputs, and
          ``loss_ms``, the rest: all that the method adds;
        * ``step_flops`` of a training step, and ``loss_flops``, the rest of them likewise;
        * ``step_memory_mb`` and ``student_memory_mb``, the peak memory of a training step and of
          one with cross-entropy alone: weights, states, the batch, and what the step allocates.

        Times are medians in milliseconds, with the quartiles ``..._q1`` and ``..._q3``; memory is
        in MiB. The rest is a difference of measurements, and may be a little below zero.
        Columns of the details: ``measure`` (a time's name without ``_ms``), ``repeat``,
        ``milliseconds``, ``device``.
        """
        options = self.options
        torch.set_num_threads(options.threads)
        device = device_for_inference(work.record)
        trained = work.inputs["network"]
        settings = _settings_of(trained)
        info = DataSetInfo.load(work.inputs["prepared"])
        clock = Clock(device, options.warmup, options.repeats)
        spec = describe_trained(trained, info, info.shape[0])
        metrics: dict[str, float] = {"parameters": spec.parameters, "flops": forward_flops(spec)}
        times: dict[str, np.ndarray] = {}
        # Imported networks were not trained here.
        training = settings.training if settings else Training()
        size = options.batch_size or training.batch_size
        if isinstance(settings, DistillationSettings):
            training = training.model_copy(update={"batch_size": size})
            settings = settings.model_copy(update={"training": training})
            steps = rebuild(work.inputs, settings, info, device)
            times = clock.time(parts(steps))
            times["loss"] = times["step"] - times["student"] - times["teacher"]
            size = len(steps.full.images)
            metrics |= counts(steps)
        times |= clock.time(_inference(load(trained, info, device), noise(spec, size, device)))
        metrics["batch_size"] = size
        work.write_json(METRICS, metrics | summary(times))
        write_details(work, timings(times, str(work.record["device"])))


def parts(steps: StudentSteps) -> dict[str, Callable[[], object]]:
    """Return what is timed of a training step."""
    return {"step": steps.full, "student": steps.plain, "teacher": steps.full.teach}


def counts(steps: StudentSteps) -> dict[str, float]:
    """Return the metrics of a training step that are counted; after a first step."""
    method, device = steps.full.distiller.method, steps.full.images.device
    step, student, teacher = (count_flops(part) for part in parts(steps).values())
    held = steps.full.held_bytes + steps.held_by_teachers
    held_by_student = steps.plain.held_bytes
    return {
        "teacher_parameters": sum(spec.parameters for spec in steps.teachers),
        "teacher_flops": sum(forward_flops(spec) for spec in steps.teachers),
        "method_parameters": sum(each.numel() for each in method.parameters()),
        "method_state_mb": tensor_bytes(method.buffers()) / MIB,
        "step_flops": step,
        "loss_flops": step - student - teacher,
        "step_memory_mb": (held + allocated_bytes(steps.full, device)) / MIB,
        "student_memory_mb": (held_by_student + allocated_bytes(steps.plain, device)) / MIB,
    }


def _settings_of(trained: Artifact) -> NetworkSettings | None:
    """Return the settings that a network was trained with; None if it was imported."""
    match trained.manifest["stage"]:
        case "train-student":
            return Tunable.model_validate(trained.settings)
        case "train-teacher":
            return network_settings(trained.settings)
        case _:
            return None


def _inference(network: Classifier, images: Tensor) -> dict[str, Callable[[], object]]:
    @torch.inference_mode()
    def classify(count: int) -> None:
        network(images[:count])

    return {"image": lambda: classify(1), "batch": lambda: classify(len(images))}

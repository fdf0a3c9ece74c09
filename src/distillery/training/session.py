"""One training run around the loop: devices, data, evaluation during training, and results."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from accelerate import Accelerator
from accelerate.utils import DistributedDataParallelKwargs

from distillery.core.devices import describe, lease_one
from distillery.core.errors import DistilleryError
from distillery.data.augmentation import normalise
from distillery.data.prepared import DataSetInfo, ImageSet, load, load_training
from distillery.data.settings import Augmentation
from distillery.embeddings.ensemble import JoinedCache
from distillery.embeddings.reader import EmbeddingCache
from distillery.embeddings.views import ViewSchedule
from distillery.models import inference, predictions
from distillery.models.base import Classifier
from distillery.models.weights import WEIGHTS, save_network
from distillery.training import distributed
from distillery.training.checkpoint import Cursor
from distillery.training.distiller import Distiller
from distillery.training.loader import ViewLoader
from distillery.training.loop import Loop
from distillery.training.settings import Compute, Training

if TYPE_CHECKING:
    from distillery.runs.artifacts import Workspace

DIAGNOSTICS = "diagnostics.parquet"
_TEST_BATCH = 1000


@dataclass
class Session:
    """What a training run works with.

    Attributes:
        accelerator: device, precision and processes.
        info: description of the data set.
        images: training images on the device.
        held_out: test images, and validation images if any were held out, by name.
        training: optimiser and schedule.
    """

    accelerator: Accelerator
    info: DataSetInfo
    images: ImageSet
    held_out: dict[str, ImageSet]
    training: Training
    work: Workspace

    @property
    def augmentation(self) -> Augmentation:
        """How training images are varied."""
        return Augmentation(**self.work.run.settings["augmentation"])

    @property
    def image_side(self) -> int:
        """Side length of what the networks are shown in training."""
        return self.augmentation.output_side(self.info.shape[0])

    def fit(
        self,
        distiller: Distiller,
        teachers: Sequence[Classifier] = (),
        cache: EmbeddingCache | JoinedCache | None = None,
    ) -> None:
        """Train and write weights, history and metrics into the run directory."""
        settings, device = self.work.run.settings, self.accelerator.device
        loader = ViewLoader(
            self.images,
            self.info,
            self.augmentation,
            ViewSchedule(self.augmentation.views, **settings["views"]),
            batch_size=self.training.batch_size,
            instances=self.training.instances,
            seed=settings["seed"],
            cache=cache,
            rank=self.accelerator.process_index,
            processes=self.accelerator.num_processes,
        )
        loop = Loop(
            self.accelerator,
            distiller.to(device).to(memory_format=torch.channels_last),
            loader,
            self.training,
            teachers=[
                teacher.to(device).to(memory_format=torch.channels_last) for teacher in teachers
            ],
            evaluate=self._accuracies,
            scratch=self.work.scratch,
        )
        cursor = loop.run()
        if self.accelerator.is_main_process:
            self._write(distiller.student, cursor)

    def _accuracies(self, network: Classifier) -> dict[str, float]:
        return {
            f"{name}_top1": self._accuracy(network, images)
            for name, images in self.held_out.items()
        }

    def _accuracy(self, network: Classifier, images: ImageSet) -> float:
        """Return the top-1 accuracy in percent, measured by all processes together."""
        rank, processes = self.accelerator.process_index, self.accelerator.num_processes
        correct = torch.zeros((), dtype=torch.float64, device=self.accelerator.device)
        with torch.inference_mode():
            for start in range(rank * _TEST_BATCH, len(images.labels), processes * _TEST_BATCH):
                part = slice(start, start + _TEST_BATCH)
                pixels = normalise(images.images[part], self.info.mean, self.info.std)
                correct += (network(pixels).logits.argmax(dim=1) == images.labels[part]).sum()
        if processes > 1:
            correct = self.accelerator.reduce(correct)
        return 100 * correct.item() / len(images.labels)

    def _write(self, network: Classifier, cursor: Cursor) -> None:
        work = self.work
        save_network(network, work.out / WEIGHTS)
        test = inference.predict(network.eval(), self.held_out["test"], self.info)
        predictions.write(work.out, test)
        # Epochs without a measurement have no accuracy: every column of every phase gets a place.
        columns = list(dict.fromkeys(name for row in cursor.history for name in row))
        rows = [{name: row.get(name) for name in columns} for row in cursor.history]
        pq.write_table(pa.Table.from_pylist(rows), work.out / "history.parquet")
        diagnostics = tidy_diagnostics(cursor)
        if len(diagnostics):
            pq.write_table(diagnostics, work.out / DIAGNOSTICS)
        work.write_json("metrics.json", summarise(cursor.history))
        steps_images = cursor.step * self.training.batch_size
        work.record["training_seconds"] = round(cursor.seconds, 3)
        work.record["images_per_second"] = round(steps_images / max(cursor.seconds, 1e-9), 1)


def tidy_diagnostics(cursor: Cursor) -> pa.Table:
    """Return what the method logged, an entry a row.

    Columns: ``epoch`` (of the distillation proper, from 1), ``name``, ``row`` and ``column`` of the
    entry (-1 where a scalar or a vector has none), ``value``.
    """
    rows = []
    for past, diagnosed in zip(cursor.history, cursor.diagnostics, strict=True):
        for name, values in diagnosed.items():
            for place in np.ndindex(*values.shape):
                row, column = (*place, -1, -1)[:2]
                entry = {"epoch": past["epoch"], "name": name, "row": row, "column": column}
                rows.append({**entry, "value": values[place].item()})
    return pa.Table.from_pylist(rows)


def summarise(history: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the figures of the last epoch, and beside them the best epoch on the test set."""
    measured = [row for row in history if "test_top1" in row]
    last, best = measured[-1], max(measured, key=lambda row: row["test_top1"])
    return {
        **{name: last[name] for name in last if name.endswith("_top1") or name == "loss"},
        "epochs": last["epoch"],
        "best_test_top1": best["test_top1"],
        "best_epoch": best["epoch"],
    }


def train(work: Workspace, fit: Callable[[Session], None]) -> None:
    """Open a session for a training run and hand it to ``fit``, in as many processes as asked."""
    settings = work.run.settings
    compute = Compute(**settings["compute"])
    if compute.processes > 1 and not distributed.is_worker():
        distributed.launch(work, compute.processes)
        return
    fit(_open(work, compute))


def _open(work: Workspace, compute: Compute) -> Session:
    settings = work.run.settings
    torch.set_num_threads(compute.threads)
    accelerator = _accelerator(compute)
    device = accelerator.device
    prepared, split = work.inputs["prepared"], work.inputs["split"]
    channels = settings["channels"]
    held_out = {"test": load(prepared, "test").of_channels(channels).to(device)}
    if split.settings["validation_fraction"]:
        held_out_part = load_training(prepared, split, "validation")
        held_out["validation"] = held_out_part.of_channels(channels).to(device)
    work.record["device"] = describe(device)
    return Session(
        accelerator,
        DataSetInfo.load(prepared).of_channels(channels),
        load_training(prepared, split).of_channels(channels).to(device),
        held_out,
        Training(**settings["training"]),
        work,
    )


def _accelerator(compute: Compute) -> Accelerator:
    on_gpu = torch.cuda.is_available()
    if on_gpu and not distributed.is_worker():
        torch.cuda.set_device(lease_one())
    # Newer releases of torch have another name for it, older ones do not know that.
    warnings.filterwarnings("ignore", "`broadcast_buffers` is deprecated", FutureWarning)
    accelerator = Accelerator(
        cpu=not on_gpu,
        mixed_precision=compute.precision,
        kwargs_handlers=[
            DistributedDataParallelKwargs(
                # A method's first stage does not use every parameter.
                find_unused_parameters=True,
                # Memory banks agree by themselves, and sending them takes longer than a step;
                # running statistics are sent before they are used.
                broadcast_buffers=False,
            )
        ],
    )
    # Accelerate falls back to one process in silence when its launcher does not start more.
    if accelerator.num_processes != compute.processes:
        raise DistilleryError(
            f"{accelerator.num_processes} processes run instead of {compute.processes}"
        )
    return accelerator

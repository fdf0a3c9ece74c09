"""One training run: it is opened, fits what it is given, and writes its results.

The stages ``train-teacher`` and ``train-student`` do these three in this order.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow.parquet as pq
import torch
from accelerate import Accelerator
from accelerate.utils import DistributedDataParallelKwargs

from distillery.core import devices
from distillery.core.errors import DistilleryError, UserError
from distillery.core.randomness import seed_for
from distillery.data.prepared import DataSetInfo, ImageSet, load, load_training
from distillery.data.settings import Split
from distillery.embeddings.reader import EmbeddingCache
from distillery.embeddings.views import ViewSchedule
from distillery.models import predictions
from distillery.models.base import Classifier, ModelSpec
from distillery.models.inference import (
    batch_size,
    in_batches,
    infer,
    normalised,
    not_finite,
    predict,
)
from distillery.models.spec import describe
from distillery.models.weights import WEIGHTS, new_network, save_network
from distillery.training import distributed
from distillery.training.checkpoint import TrainingState
from distillery.training.distiller import Distiller
from distillery.training.history import diagnostics_table, history_table, summarise
from distillery.training.loader import ViewLoader
from distillery.training.loop import Loop
from distillery.training.settings import Compute, NetworkSettings

if TYPE_CHECKING:
    from distillery.runs.produce import Workspace

DIAGNOSTICS = "diagnostics.parquet"


def open_run(work: Workspace, settings: NetworkSettings, *, reads_test: bool = True) -> TrainingRun:
    """Open a training run in this process: lease its device, and read its images.

    Args:
        work: inputs and folders.
        settings: how it is trained.
        reads_test: whether the test set is read, and accuracy measured on it.
    """
    torch.set_num_threads(settings.compute.threads)
    accelerator = _accelerator(settings.compute)
    work.record["device"] = devices.describe(accelerator.device)
    prepared, split = work.inputs["prepared"], work.inputs["split"]
    images = {"train": load_training(prepared, split)}
    if reads_test:
        images["test"] = load(prepared, "test")
    if Split.model_validate(split.settings).validation_fraction:
        images["validation"] = load_training(prepared, split, "validation")
    seen = {
        name: part.of_channels(settings.channels).to(accelerator.device)
        for name, part in images.items()
    }
    whole = DataSetInfo.load(prepared)
    return TrainingRun(
        work, settings, accelerator, whole, settings.seen(whole), seen.pop("train"), seen
    )


@dataclass(frozen=True)
class TrainingRun:
    """What a training run works with.

    Attributes:
        work: inputs and folders.
        settings: how it is trained.
        accelerator: device, precision and processes.
        whole: description of the data set.
        info: the same as the network sees it.
        images: training images on the device.
        held_out: test images, if they are read, and validation images if any were held out, by
            name.
    """

    work: Workspace
    settings: NetworkSettings
    accelerator: Accelerator
    whole: DataSetInfo
    info: DataSetInfo
    images: ImageSet
    held_out: dict[str, ImageSet]

    @property
    def name(self) -> str:
        """What messages call the network."""
        method = getattr(self.settings, "method", None)
        return f"{self.settings.arch} by '{method}'" if method else self.settings.arch

    def new_network(self) -> Classifier:
        """Return the network to train, the same for all methods."""
        torch.manual_seed(seed_for(self.settings.seed, "network"))
        return new_network(self.settings, self.whole)

    def describe(self, arch: str) -> ModelSpec:
        """Describe a network for the images that are shown in training."""
        height, _, channels = self.info.shape
        side = self.settings.augmentation.output_side(height)
        return describe(arch, len(self.info.classes), channels, side)

    def fit(
        self,
        distiller: Distiller,
        teachers: Sequence[Classifier] = (),
        caches: Sequence[EmbeddingCache] = (),
    ) -> TrainingState:
        """Train a distiller to the end.

        Args:
            distiller: what to train.
            teachers: networks to run along, if any.
            caches: what to read of teachers instead.
        """
        settings, accelerator = self.settings, self.accelerator
        augmentation, views = settings.augmentation, settings.views
        for module in (distiller, *teachers):
            module.to(accelerator.device).to(memory_format=torch.channels_last)
        if settings.compute.sync_batchnorm:
            distiller.synchronise_batchnorm()
        if settings.compute.compile:
            distiller.compile_student()
        loader = ViewLoader(
            self.images,
            self.info,
            augmentation,
            ViewSchedule(augmentation.views, views.slots, views.seed),
            batch_size=settings.training.batch_size,
            instances=settings.training.instances,
            seed=settings.seed,
            caches=caches,
            rank=accelerator.process_index,
            processes=accelerator.num_processes,
        )
        state = Loop(
            accelerator,
            distiller,
            loader,
            settings.training,
            teachers=teachers,
            evaluate=self.accuracies,
            scratch=self.work.scratch,
            name=self.name,
        ).run()
        if caches:
            waited = sum(cache.waited for cache in caches)
            self.work.record["seconds_waited_for_cache"] = round(waited, 3)
        return state

    def accuracies(self, network: Classifier) -> dict[str, float]:
        """Return the top-1 accuracies in percent, measured by all processes together.

        They are of the network in the run's precision, as it is trained.
        """
        return {
            f"{name}_top1": self._accuracy(network, images)
            for name, images in self.held_out.items()
        }

    def write(self, network: Classifier, state: TrainingState) -> predictions.Predictions | None:
        """Write weights, predictions, history and metrics into the run directory, once.

        Returns:
            The predictions; None in processes beside the first.
        """
        if not self.accelerator.is_main_process:
            return None
        work = self.work
        said = predict(network.eval(), self.held_out["test"], self.info, self.name)
        save_network(network, work.out / WEIGHTS, self.info.classes)
        predictions.write(work.out, said)
        work.record["chance_top1"] = said.chance
        pq.write_table(history_table(state), work.out / "history.parquet")
        diagnostics = diagnostics_table(state)
        if len(diagnostics):
            pq.write_table(diagnostics, work.out / DIAGNOSTICS)
        work.write_json("metrics.json", summarise(state.history))
        images = state.step * self.settings.training.batch_size
        work.record["training_seconds"] = round(state.seconds, 3)
        work.record["images_per_second"] = round(images / max(state.seconds, 1e-9), 1)
        return said

    def _accuracy(self, network: Classifier, images: ImageSet) -> float:
        rank, processes = self.accelerator.process_index, self.accelerator.num_processes
        batches = in_batches(len(images), batch_size(images))[rank::processes]
        correct = torch.zeros((), dtype=torch.float64, device=self.accelerator.device)
        finite = torch.ones((), dtype=torch.bool, device=self.accelerator.device)
        with self.accelerator.autocast():
            outputs = infer(network, images, self.info, batches)
            for rows, out in zip(batches, outputs, strict=True):
                labels = images.labels[rows.to(correct.device)]
                correct += (out.logits.argmax(dim=1) == labels).sum()
                finite &= out.logits.isfinite().all()
            # NaN would count as class 0.
            if not finite:
                raise not_finite(network, normalised(images, self.info, batches), self.name)
        if processes > 1:
            correct = self.accelerator.reduce(correct)
        return 100 * correct.item() / len(images)


def _accelerator(compute: Compute) -> Accelerator:
    on_gpu = torch.cuda.is_available()
    if compute.sync_batchnorm and not on_gpu:
        raise UserError(
            "compute.sync_batchnorm: torch synchronises batch normalisation on accelerators alone, "
            "and this machine shows none; leave it out"
        )
    if on_gpu and not distributed.is_worker():
        torch.cuda.set_device(devices.lease_one())
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

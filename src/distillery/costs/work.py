"""What each run of a plan computes: which network, how many steps, how many images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from distillery.core.measuring import module_bytes
from distillery.core.settings import FrozenModel
from distillery.costs.images import Images, images_of
from distillery.data.settings import Augmentation, Split
from distillery.methods import registry as methods
from distillery.models.base import ModelSpec
from distillery.models.outline import outline
from distillery.models.settings import architecture_of
from distillery.models.spec import describe
from distillery.planning.plan import Plan
from distillery.runs.run import Run
from distillery.training.assembly import numbered
from distillery.training.settings import DistillationSettings, NetworkSettings, network_settings


class Network(FrozenModel):
    """An architecture for images of one shape."""

    arch: str
    """Its name."""
    channels: int
    """Channels of the images."""
    side: int
    """Pixels along each side."""
    classes: int
    """Number of logits."""

    @property
    def spec(self) -> ModelSpec:
        """Its description."""
        return describe(self.arch, self.classes, self.channels, self.side)

    @property
    def columns(self) -> int:
        """Numbers that it says of an image: logits and embedding."""
        return self.classes + self.spec.embedding_dim

    @property
    def weight_bytes(self) -> int:
        """Bytes of its parameters and buffers."""
        built = outline(
            self.arch,
            num_classes=self.classes,
            in_channels=self.channels,
            image_size=self.side,
        )
        return module_bytes(built)

    def __str__(self) -> str:
        return f"{self.arch} {self.channels}x{self.side}x{self.side} of {self.classes}"


@dataclass(frozen=True)
class Teaching:
    """How a student is taught.

    Attributes:
        settings: those of the student.
        teachers: the networks that teach it.
        live: whether they are run along.
        views: how many versions of each image the method shows.
    """

    settings: DistillationSettings
    teachers: tuple[Network, ...]
    live: bool
    views: int

    @property
    def name(self) -> str:
        """The method, with KD if it has that term; what it costs is filed under this."""
        return self.settings.method + ("+kd" if self.settings.kd_temperature else "")


@dataclass(frozen=True)
class Training:
    """The training of a network.

    Attributes:
        settings: those of its run.
        network: what is trained.
        image_side: pixels along each side of the images before they are augmented.
        images: images of an epoch.
        evaluated: images that the network is run on, in all measurements of its accuracy.
        teaching: how a student is taught; None for a network that learns from labels alone.
    """

    settings: NetworkSettings
    network: Network
    image_side: int
    images: int
    evaluated: int
    teaching: Teaching | None

    @property
    def batch_size(self) -> int:
        """Images a step."""
        return self.settings.training.batch_size

    @property
    def steps_of_epoch(self) -> int:
        """Steps of an epoch; a last batch that is smaller counts as one."""
        full, rest = divmod(self.images, self.batch_size)
        return full + (rest >= 2)

    @property
    def steps(self) -> int:
        """Steps of all epochs."""
        return self.steps_of_epoch * self.settings.training.epochs

    def with_batch(self, size: int) -> Training:
        """Return the same training with plain batches of another size."""
        changes = {"batch_size": size, "instances": None}
        training = self.settings.training.model_copy(update=changes)
        return replace(self, settings=self.settings.model_copy(update={"training": training}))

    def with_threads(self, threads: int) -> Training:
        """Return the same training with another number of CPU threads."""
        compute = self.settings.compute.model_copy(update={"threads": threads})
        return replace(self, settings=self.settings.model_copy(update={"compute": compute}))


@dataclass(frozen=True)
class Inference:
    """A network that is run over images without being trained.

    Attributes:
        network: the network.
        images: over how many.
    """

    network: Network
    images: int


Work = Training | Inference


class Works:
    """What the runs of a plan compute."""

    def __init__(self, plan: Plan, data: Path) -> None:
        """Look at the data sets that are prepared already, and at what is known of the others.

        Args:
            plan: the plan.
            data: the data folder.
        """
        self.plan = plan
        self._images = {run.location: images_of(run, data) for run in plan.stage("prepare")}

    def unknown(self) -> list[Run]:
        """Return the runs that have to prepare their data before its size is known."""
        return [run for run in self.plan.stage("prepare") if self._images[run.location] is None]

    def images(self, run: Run) -> Images | None:
        """Return the images that a run prepares or reads; None for others, or if not known yet."""
        return self._images.get(run.inputs.get("prepared", run.location))

    def shape(self, trained: Run) -> Network | None:
        """Return the network that a run ends in; None while its images are not known."""
        images = self._images[trained.inputs["prepared"]]
        if images is None:
            return None
        architecture, given = architecture_of(trained), trained.settings.get("augmentation")
        side = Augmentation.model_validate(given).output_side(images.side) if given else images.side
        channels = len(architecture.channels or range(images.channels))
        return Network(arch=architecture.arch, channels=channels, side=side, classes=images.classes)

    def of(self, run: Run) -> Work | None:
        """Return what a run computes; None if it runs no network, or that is not known."""
        images = self.images(run)
        if images is None:
            return None
        match run.stage:
            case "train-teacher":
                return self._training(run, images, network_settings(run.settings))
            case "train-student" | "trial":
                # What may be selected takes as long as what the file says.
                known = {n: v for n, v in run.settings.items() if n != "candidates"}
                settings = DistillationSettings.model_validate(known)
                return self._training(run, images, settings)
            case "embed":
                network = self.shape(self.plan.runs[run.inputs["teacher"]])
                count = self._trained_on(run, images) * int(run.settings["views"]["slots"])
                return Inference(network, count) if network else None
            case "extract":
                network = self.shape(self.plan.runs[run.inputs["network"]])
                return Inference(network, images.train + images.test) if network else None
            case _:
                return None

    def _training(self, run: Run, images: Images, settings: NetworkSettings) -> Training | None:
        network, teaching = self.shape(run), None
        if network is None:
            return None
        if isinstance(settings, DistillationSettings) and _has_method(settings):
            teaching = self._teaching(run.inputs, settings)
        epochs, every = settings.training.epochs, settings.training.evaluate_every
        # At the end once more, for the predictions that are kept.
        measured = (epochs + every - 1) // every + 1
        count = self._trained_on(run, images)
        return Training(settings, network, images.side, count, measured * images.test, teaching)

    def _teaching(self, inputs: Mapping[str, str], settings: DistillationSettings) -> Teaching:
        runs = {name: self.plan.runs[location] for name, location in inputs.items()}
        cached = numbered(runs, "embeddings")
        taught_by = [self.plan.runs[run.inputs["teacher"]] for run in cached]
        teachers = [self.shape(run) for run in taught_by or numbered(runs, "teacher")]
        known = tuple(teacher for teacher in teachers if teacher)
        views = methods.load(settings.method).n_views
        return Teaching(settings, known, live=not cached, views=views)

    def _trained_on(self, run: Run, images: Images) -> int:
        split = self.plan.runs[run.inputs["split"]].settings
        return images.trained_on(Split.model_validate(split))


def _has_method(settings: DistillationSettings) -> bool:
    """Tell whether a student learns from more than labels."""
    return settings.method != "ce" or settings.kd_temperature is not None

"""Settings of a training run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from distillery.core.conditions import NotWith
from distillery.core.settings import FrozenModel
from distillery.data.settings import Augmentation
from distillery.embeddings.settings import ViewOrder
from distillery.methods import registry as methods
from distillery.methods.base import Weights
from distillery.models.settings import Architecture

_BETA2 = 0.999
Milestone = Annotated[int, Field(ge=1)]
Combination = Literal["mean", "sum", "joint"]


class Training(FrozenModel):
    """Optimiser and schedule; the defaults are the CIFAR protocol of CRD (Tian et al. 2020)."""

    epochs: int = Field(default=240, ge=1, le=10_000)
    """Number of passes over the training set."""
    batch_size: int = Field(default=64, ge=2, le=65_536)
    """Images a step, over all processes together."""
    instances: int | None = Field(default=None, ge=1)
    """Class-balanced batches with this many images of each of `batch_size / instances` classes;
    plain random batches when not given. Compare methods under the same sampler only."""
    lr: float = Field(default=0.05, gt=0, le=100)
    """Initial learning rate (0.01 for MobileNetV2 and the ShuffleNets in CRD's protocol)."""
    schedule: Literal["steps", "cosine"] = "steps"
    """Step decay at the milestones, or a half cosine down to zero."""
    milestones: tuple[Milestone, ...] | None = None
    """Epochs after which the rate is multiplied by gamma; 5/8, 3/4 and 7/8 of all when not given
    (150, 180 and 210 of 240)."""
    gamma: float = Field(default=0.1, gt=0, le=1)
    """Factor of the step decay."""
    warmup_epochs: int = Field(default=0, ge=0)
    """Epochs of linear warm-up from zero."""
    optimizer: Literal["sgd", "adamw"] = "sgd"
    """Stochastic gradient descent with momentum, or AdamW (Loshchilov and Hutter, 2019), which
    wants other rates and decays: 0.001 and 0.05 are usual."""
    momentum: float = Field(default=0.9, ge=0, lt=1)
    """Momentum of SGD; the first beta of AdamW."""
    beta2: float = Field(default=_BETA2, ge=0, lt=1)
    """The second beta of AdamW."""
    nesterov: bool = False
    """Nesterov's form of the momentum."""
    weight_decay: float = Field(default=5e-4, ge=0)
    """L2 penalty on everything that is trained, heads and batch normalisation included."""
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    """Share of the label that cross-entropy spreads evenly over all classes (Szegedy et al., 2016);
    the logged `ce` is then the smoothed one."""
    clip_norm: float | None = Field(default=None, gt=0)
    """Largest norm of the gradient of everything that is trained, which is scaled down to it; as it
    is when not given."""
    evaluate_every: int = Field(default=1, ge=1)
    """Epochs between two measurements on the test set; the last epoch is always measured."""

    @model_validator(mode="after")
    def _fits(self) -> Training:
        given = self.milestones or ()
        if list(given) != sorted(set(given)) or any(epoch >= self.epochs for epoch in given):
            raise ValueError(
                f"milestones {list(given)} must increase and be below epochs ({self.epochs})"
            )
        if self.warmup_epochs >= self.epochs:
            raise ValueError(f"warmup_epochs must be below epochs ({self.epochs})")
        if self.instances and self.batch_size % self.instances:
            raise ValueError(
                f"batch_size ({self.batch_size}) must be a multiple of instances ({self.instances})"
            )
        if self.nesterov and not self.momentum:
            raise ValueError("nesterov needs a momentum above 0")
        if self.nesterov and self.optimizer == "adamw":
            raise ValueError("nesterov is a form of SGD's momentum; adamw has none")
        if self.beta2 != _BETA2 and self.optimizer == "sgd":
            raise ValueError("beta2 is AdamW's; optimizer 'sgd' has no use for it")
        return self

    @property
    def resolved_milestones(self) -> tuple[int, ...]:
        """The milestones, derived from the number of epochs when they are not given."""
        if self.milestones is not None:
            return self.milestones
        usual = {round(self.epochs * share) for share in (5 / 8, 3 / 4, 7 / 8)}
        return tuple(sorted(epoch for epoch in usual if 0 < epoch < self.epochs))


class Compute(FrozenModel):
    """How a run computes, as far as it can change a result's last digits."""

    precision: Literal["no", "bf16", "fp16"] = "no"
    """Mixed precision of the networks; losses are always computed in single precision."""
    processes: int = Field(default=1, ge=1, le=64)
    """Number of processes that share each batch."""
    sync_batchnorm: Annotated[bool, NotWith("processes", 1)] = False
    """Whether batch normalisation sees the whole batch of all processes, which takes accelerators;
    otherwise each process normalises its part."""
    threads: int = Field(default=1, ge=1, le=256)
    """CPU threads of each process; sums depend on it in the last digits."""
    compile: bool = False
    """Whether the student's training is compiled for the machine (`torch.compile`): it pays where
    training takes many times the minute or so that compiling takes."""


class NetworkSettings(Architecture):
    """What the stages that train a network have in common."""

    seed: int
    """Seed of initialisation and of the order of the images."""
    training: Training
    """Optimiser and schedule."""
    compute: Compute
    """Precision, processes, threads and whether to compile."""
    augmentation: Augmentation
    """How training images are varied, with nothing left open."""
    views: ViewOrder
    """Which view of each image an epoch shows."""


def network_settings(settings: Mapping[str, Any]) -> NetworkSettings:
    """Return what the settings of any run that trains a network have in common with others."""
    known = {name: settings[name] for name in NetworkSettings.model_fields if name in settings}
    return NetworkSettings.model_validate(known)


class DistillationSettings(NetworkSettings):
    """What a student is trained with."""

    method: str
    """Name of the method."""
    options: dict[str, Any]
    """Its hyperparameters, all of them."""
    weights: Weights
    """Weights of the objective."""
    kd_temperature: float | None
    """Temperature of the additional KD term; None without one."""
    ensemble: Combination | None
    """How several teachers teach; None unless there are several."""
    joint_temperature: float | None
    """Temperature at which the probabilities of teachers that teach jointly are averaged."""

    @model_validator(mode="after")
    def _complete_options(self) -> DistillationSettings:
        """Read the options as the method does: what an old run lacks has its default of today."""
        options = methods.load(self.method).Options.model_validate(self.options)
        object.__setattr__(self, "options", options.model_dump(mode="json"))
        return self

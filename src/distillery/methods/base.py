"""What a distillation method is.

A method declares what it needs of the teacher, owns its trainable parts, and returns its loss terms
without their weight. The trainer composes ``weights.ce * CE + weights.kd * KD + weights.method *
(sum of the terms)``. A new method is one new file in this folder, named as the method; see
``docs/adding-a-method.md``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, NamedTuple

from pydantic import Field
from torch import Tensor, nn

from distillery.core.settings import FrozenModel
from distillery.models.base import Classifier, ModelSpec, Outputs

Need = Literal[
    "logits",
    "embedding",
    "features",
    "preactivations",
    "blocks",
    "last_map",
    "class_maps",
    "classifier",
]
CACHED: frozenset[Need] = frozenset({"logits", "embedding", "classifier"})
Kind = Literal["response", "feature", "relation", "contrastive"]


class Paper(NamedTuple):
    """Where a method was published."""

    authors: str
    venue: str
    year: int
    arxiv: str = ""
    """Number in arXiv, if it was found."""


class Weights(FrozenModel):
    """Weights of the objective ``ce * CE + kd * KD + method * method terms``."""

    ce: float = Field(default=1.0, ge=0)
    """Weight of the cross-entropy with the labels."""
    kd: float = Field(default=0.0, ge=0)
    """Weight of Hinton's KD term, which combines with every method."""
    method: float = Field(default=1.0, ge=0)
    """Weight of the method's own terms."""


@dataclass(frozen=True)
class Batch:
    """One training batch, seen by a method.

    Attributes:
        position: (B,) int64, rows of the images in the training set, ``0 <= position < n``.
        labels: (B,) int64.
        epoch: number of the epoch, from 0.
        step: number of optimiser steps taken before this batch, over the whole run.
    """

    position: Tensor
    labels: Tensor
    epoch: int
    step: int


class Losses(NamedTuple):
    """What a method makes of a batch.

    Attributes:
        terms: named loss terms, scalars () without the method's weight.
        diagnostics: what is to be logged beside them: scalars, vectors or matrices without
            gradient. They may be missing in some steps; an epoch's mean is over the others.
    """

    terms: dict[str, Tensor]
    diagnostics: dict[str, Tensor]


@dataclass(frozen=True)
class Pretraining:
    """A stage of a method's own before the distillation proper (AB, FT, FSP, SSKD).

    Attributes:
        epochs: its length.
        trains_student: whether the student is run and trained in it, beside the method's parts.
        lr: its initial learning rate; None for that of the run.
        milestones: epochs after which the learning rate is divided by ten.
    """

    epochs: int
    trains_student: bool
    lr: float | None = None
    milestones: tuple[int, ...] = ()


@dataclass(frozen=True)
class Context:
    """What a method is built from.

    Attributes:
        student, teacher: descriptions of the two networks.
        labels: (n,) int64, labels of all training images in the order of their positions.
        seed: seed of the run, for counter-based draws.
        epochs: number of epochs of the run, for schedules of a method's own.
        batch_size: images in a full batch of all processes.
        teacher_network: the frozen teacher, only for methods that cannot train from the cache.
        teacher_head: the teacher's last layer (D,) -> (C,), for methods that need ``classifier``.
        mean, std: of each channel, by which images are normalised, in [0, 1].
    """

    student: ModelSpec
    teacher: ModelSpec
    labels: Tensor
    seed: int
    epochs: int = 1
    batch_size: int = 0
    teacher_network: nn.Module | None = None
    teacher_head: nn.Linear | None = None
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()


class Method(nn.Module):
    """Base of all methods. Subclasses set the class attributes and implement ``forward``."""

    title: ClassVar[str]
    """Name in tables and figures."""
    source: ClassVar[str]
    """Where the method was published, and where its defaults come from."""
    paper: ClassVar[Paper | None] = None
    """The paper that proposed it; None for baselines."""
    kind: ClassVar[Kind | None] = None
    """What is distilled, after the surveys' main division; None without a teacher."""
    disagreement: ClassVar[str] = ""
    """What references disagree about, and on which side this one is."""
    needs: ClassVar[frozenset[Need]] = frozenset()
    """What both networks have to supply beside the student's logits; ``classifier`` is the
    teacher's alone."""
    student_needs: ClassVar[frozenset[Need]] = frozenset()
    """What the student alone has to supply beside that."""
    weights: ClassVar[Weights] = Weights()
    """Published default weights."""
    couples_batch: ClassVar[bool] = False
    """Whether the loss compares samples of a batch: several processes then share their outputs."""
    n_views: ClassVar[int] = 1
    """How many versions of each image both networks see (see ``make_views``)."""
    section: ClassVar[str | None] = None
    """Module of ``reporting.sections`` that shows the method's diagnostics."""

    class Options(FrozenModel):
        """Hyperparameters of the method; the default is to have none."""

    def __init__(self, options: Any, context: Context) -> None:
        super().__init__()
        self.options = options

    @classmethod
    def check(cls, options: Any, student: ModelSpec, teacher: ModelSpec) -> None:
        """Raise ``UserError`` when the method cannot match this pair of networks.

        Called when the plan is made, so that nobody learns of it after an hour of training.
        """

    @classmethod
    def limits(cls, options: Any, per_class: Sequence[int]) -> dict[str, int]:
        """Return the largest values that options may have, by their names.

        Called when the plan is made: a default beyond is lowered, a value that somebody has chosen
        is refused.

        Args:
            options: the hyperparameters.
            per_class: how many images of each class are trained on.
        """
        return {}

    @classmethod
    def student_arch(cls, options: Any, student: ModelSpec, teacher: ModelSpec) -> str:
        """Return the architecture that is trained: the student's, unless the method adds to it."""
        return student.arch

    def prepare_student(self, student: Classifier) -> None:
        """Change the new student before it is trained; called by resumed runs, too."""

    def forward(self, student: Outputs, teacher: Outputs, batch: Batch) -> dict[str, Tensor]:
        """Return the named loss terms, scalars without the method's weight.

        Args:
            student: logits (B, C), embedding (B, D), maps (B, c, h, w); only those of ``needs``
                are filled, and the logits.
            teacher: the same of the teacher, without gradient; C is equal, other sizes may not be.
            batch: positions and labels (B,) of the images. With ``n_views`` the outputs have
                B * n_views rows.
        """
        raise NotImplementedError

    def losses(self, student: Outputs, teacher: Outputs, batch: Batch) -> Losses:
        """Return the terms of ``forward``, and what is to be logged beside them.

        The trainer calls this. A method that logs anything computes both here, and its ``forward``
        returns the terms of it.
        """
        return Losses(self(student, teacher, batch), {})

    def block_hook(self, block: Tensor) -> tuple[Tensor, ...]:
        """Return what the method keeps of a block's output (B, c, h, w), while the network runs.

        ``Outputs.blocks`` are these tensors, of one block after the other. A method that needs no
        whole blocks saves their memory, and that of the gradients of all of them at once.
        """
        return (block,)

    def after_step(self) -> None:
        """Update state that must not change between forward and backward (memory banks)."""

    def make_views(self, images: Tensor, batch: Batch) -> Tensor:
        """Return ``n_views`` versions of each image, (B, C, H, W) -> (B * n_views, C, H, W).

        What is drawn depends on the step and on the positions of the images in ``batch``, not on
        their order: several processes then draw what one does.

        The versions of one image are adjacent and the unchanged one comes first: outputs then have
        B * n_views rows, and the trainer takes cross-entropy and KD on every ``n_views``-th row.
        """
        return images

    def pretraining(self) -> Pretraining | None:
        """Return the stage that comes before the distillation proper, if there is one."""
        return None

    def pretrain(self, student: Outputs, teacher: Outputs, batch: Batch) -> dict[str, Tensor]:
        """Return the named loss terms of the pre-training stage; their sum is minimised.

        The arguments are those of ``forward``: logits (B, C) and so on. When the stage does not
        train the student, ``student`` is the same object as ``teacher``.
        """
        raise NotImplementedError

    def finish_pretraining(self) -> None:
        """Freeze what only the pre-training stage trains; also called when a run is resumed."""

    @classmethod
    def trains_from_cache(cls) -> bool:
        """Tell whether cached logits and embeddings suffice, so that no teacher is run."""
        return cls.needs <= CACHED and cls.n_views == 1

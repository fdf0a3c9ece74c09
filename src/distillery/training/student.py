"""The stage ``train-student``: distil one student with one method."""

from __future__ import annotations

from itertools import zip_longest
from typing import TYPE_CHECKING

from distillery.data.info import DataSetInfo
from distillery.embeddings.reader import EmbeddingCache
from distillery.models.renormalised import renormalised
from distillery.models.settings import architecture_of
from distillery.models.weights import load_network
from distillery.training import distributed
from distillery.training.assembly import Teacher, assemble, numbered
from distillery.training.run import open_run
from distillery.training.selected import Tunable, as_selected

if TYPE_CHECKING:
    from distillery.models.base import Classifier
    from distillery.runs.produce import Workspace
    from distillery.training.checkpoint import TrainingState
    from distillery.training.run import TrainingRun
    from distillery.training.settings import DistillationSettings


class Settings(Tunable):
    """Settings of the stage."""


def run(work: Workspace) -> None:
    """Train a student, from the teachers' caches or with live teachers, as the inputs say."""
    settings = as_selected(Settings.model_validate(work.run.settings), work)
    if distributed.launched(work, settings.compute.processes):
        return
    training = open_run(work, settings)
    training.write(*distil(training, settings))


def distil(
    training: TrainingRun, settings: DistillationSettings
) -> tuple[Classifier, TrainingState]:
    """Train a student to the end.

    Args:
        training: the opened run.
        settings: its settings.
    """
    inputs = training.work.inputs
    info, index = DataSetInfo.load(inputs["prepared"]), training.images.index.cpu().numpy()
    caches = [EmbeddingCache(each, index) for each in numbered(inputs, "embeddings")]
    taught_by = numbered(inputs, "teacher")
    live = [
        renormalised(load_network(each, info), training.info, architecture_of(each).seen(info))
        for each in taught_by
    ]
    heads = [load_network(each, info).head for each in numbered(inputs, "classifier")]
    teachers = [
        Teacher(training.describe(cache.arch), head=head)
        for cache, head in zip_longest(caches, heads)
    ] or [
        Teacher(training.describe(architecture_of(each).arch), network)
        for each, network in zip(taught_by, live, strict=True)
    ]
    student = training.new_network()
    distiller = assemble(
        student,
        settings,
        training.describe(settings.arch),
        teachers,
        training.images.labels.cpu(),
        training.info,
        distributed.gather if settings.compute.processes > 1 else None,
    )
    return student, training.fit(distiller, live, caches)

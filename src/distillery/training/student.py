"""The stage ``train-student``: distil one student with one method."""

from __future__ import annotations

from typing import TYPE_CHECKING

from distillery.data.info import DataSetInfo
from distillery.embeddings.reader import EmbeddingCache
from distillery.models.settings import architecture_of
from distillery.models.weights import load_network
from distillery.training import distributed
from distillery.training.assembly import Teacher, assemble, numbered
from distillery.training.run import open_run
from distillery.training.settings import DistillationSettings

if TYPE_CHECKING:
    from distillery.runs.produce import Workspace


class Settings(DistillationSettings):
    """Settings of the stage."""


def run(work: Workspace) -> None:
    """Train a student, from the teachers' caches or with live teachers, as the inputs say."""
    settings = Settings.model_validate(work.run.settings)
    if distributed.is_launcher(settings.compute.processes):
        # Each of the processes calls this function.
        distributed.launch(work, settings.compute.processes)
        return
    training = open_run(work, settings)
    info, index = DataSetInfo.load(work.inputs["prepared"]), training.images.index.cpu().numpy()
    caches = [EmbeddingCache(each, index) for each in numbered(work.inputs, "embeddings")]
    taught_by = numbered(work.inputs, "teacher")
    live = [load_network(each, info) for each in taught_by]
    teachers = [Teacher(training.describe(cache.arch)) for cache in caches] or [
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
        distributed.gather if settings.compute.processes > 1 else None,
    )
    state = training.fit(distiller, live, caches)
    training.write(student, state)

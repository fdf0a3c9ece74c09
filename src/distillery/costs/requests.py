"""What a run's job asks a scheduler for: memory and minutes, from the sizes of data and networks.

Both are meant to be generous. A job that gets too little is stopped, goes on from its checkpoint,
and asks for more.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from distillery.costs.images import Images
from distillery.costs.prediction import PASSES_OF_STEP, forward_flops_of
from distillery.costs.work import Training, Work, Works
from distillery.data.prepare import LARGEST_IN_MEMORY
from distillery.data.settings import PrepareSettings
from distillery.runs.run import Run
from distillery.runs.stages import STAGES

# Of the libraries, and of what a run keeps beside data and networks.
_PROGRAM_MB = 2000
# Weights, their gradients, and up to two moments; a copy of all while a checkpoint is written.
_COPIES_TRAINED = 6
# An epoch's slot of the cache, and the next one, which is read ahead; in single precision at most.
_SLOTS_HELD, _NUMBER = 2, 4
# Assumed, not measured: what an accelerator of the last years does at least, and a step's own time.
_FLOPS_A_SECOND, _SECONDS_A_STEP = 5e12, 0.03
# Images that are classified at once, at least.
_BATCH = 64
# Of starting, reading and writing.
_LEAST_MINUTES = 30


@dataclass(frozen=True)
class Request:
    """What one run asks for.

    Attributes:
        memory_mb: memory, in MiB.
        minutes: time limit.
    """

    memory_mb: int
    minutes: int


def request(run: Run, works: Works) -> Request:
    """Return what a run asks for.

    Those whose data are not known yet, and those that run no network, ask for what the table of
    stages says.

    Args:
        run: one run of the plan.
        works: the plan, and what its runs compute.
    """
    stage, images, work = STAGES[run.stage], works.images(run), works.of(run)
    if images is None or work is None:
        return Request(stage.memory_mb, stage.runtime)
    slots = int(run.settings["views"]["slots"]) if run.stage == "embed" else 1
    held = (
        _image_bytes(run, works, images) + _network_bytes(work, images) + _cache_bytes(work, slots)
    )
    return Request(_PROGRAM_MB + math.ceil(held / 2**20), _minutes(work))


def _image_bytes(run: Run, works: Works, images: Images) -> int:
    """Return the bytes of the images that are in memory, as those of large parts are not."""
    prepared = PrepareSettings.model_validate(works.plan.runs[run.inputs["prepared"]].settings)
    sizes = (count * images.side**2 * images.channels for count in (images.train, images.test))
    if prepared.streamed is not None:
        return 0 if prepared.streamed else sum(sizes)
    return sum(size for size in sizes if size <= LARGEST_IN_MEMORY)


def _network_bytes(work: Work, images: Images) -> int:
    """Return the bytes of the networks, and of what is kept of the outputs for test images."""
    copies = _COPIES_TRAINED if isinstance(work, Training) else 1
    taught = work.teaching if isinstance(work, Training) else None
    teachers = taught.teachers if taught and taught.live else ()
    outputs = images.test * work.network.columns * _NUMBER
    return (
        copies * work.network.weight_bytes
        + sum(teacher.weight_bytes for teacher in teachers)
        + outputs
    )


def _cache_bytes(work: Work, slots: int) -> int:
    """Return the bytes of the teachers' outputs that are in memory at once."""
    if not isinstance(work, Training):
        # Written one slot at a time.
        return work.images // slots * work.network.columns * _NUMBER
    if not work.teaching or work.teaching.live:
        return 0
    columns = sum(teacher.columns for teacher in work.teaching.teachers)
    return _SLOTS_HELD * work.images * columns * _NUMBER


def flops_of(work: Work) -> int:
    """Return the FLOPs of a run, without those of the method's own loss."""
    if not isinstance(work, Training):
        return work.images * forward_flops_of(work.network)
    teachers = work.teaching.teachers if work.teaching and work.teaching.live else ()
    of_image = PASSES_OF_STEP * forward_flops_of(work.network) + sum(
        map(forward_flops_of, teachers)
    )
    return _shown(work) * of_image + work.evaluated * forward_flops_of(work.network)


def _minutes(work: Work) -> int:
    """Return the minutes on an accelerator, rounded up to tens."""
    steps = _shown(work) // (work.batch_size if isinstance(work, Training) else _BATCH)
    seconds = flops_of(work) / _FLOPS_A_SECOND + steps * _SECONDS_A_STEP
    return _LEAST_MINUTES + 10 * math.ceil(seconds / 600)


def _shown(work: Work) -> int:
    """Return how many images networks are shown, each view for itself."""
    if not isinstance(work, Training):
        return work.images
    return work.steps * work.batch_size * (work.teaching.views if work.teaching else 1)

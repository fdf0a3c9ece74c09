"""How large the folder of a run is: its arrays; what else lies beside them is small."""

from __future__ import annotations

from pathlib import Path

from distillery.costs.images import Images
from distillery.costs.work import Network, Works
from distillery.embeddings.slots import slot_bytes
from distillery.runs.artifact import Artifact
from distillery.runs.run import Run

_SINGLE, _HALF = 4, 2
_LABEL = 8


def bytes_of(run: Run, works: Works) -> int | None:
    """Return the bytes of a run's arrays.

    Args:
        run: the run, of any stage.
        works: the plan that it belongs to.

    Returns:
        The bytes; None while the images are not known, and for tables and evaluations.
    """
    images = works.images(run)
    if images is None:
        return None
    match run.stage:
        case "prepare":
            return images.bytes
        case "train-teacher" | "train-student" | "import-teacher":
            network = works.shape(run)
            return _network_bytes(network, images) if network else None
        case "embed":
            network = works.shape(works.plan.runs[run.inputs["teacher"]])
            return _cache_bytes(run, network, works) if network else None
        case "extract":
            network = works.shape(works.plan.runs[run.inputs["network"]])
            width = network.spec.embedding_dim if network else 0
            return (images.train + images.test) * (width * _SINGLE + _LABEL)
        case _:
            return None


def stored_bytes(folder: Path) -> int:
    """Return the bytes of the files of a finished run."""
    return sum(int(file["size"]) for file in Artifact(folder).manifest["files"].values())


def cache_bytes(
    rows: int, slots: int, columns: int, *, single: bool = False, boxes: bool = False
) -> int:
    """Return the bytes of a teacher cache.

    Args:
        rows: images of a slot.
        slots: number of slots.
        columns: numbers that are kept of an image: logits and embedding.
        single: whether they are kept in single precision.
        boxes: whether views are random boxes.
    """
    return slots * slot_bytes(rows, columns, _SINGLE if single else _HALF, boxes=boxes)


def _cache_bytes(run: Run, teacher: Network, works: Works) -> int | None:
    """Return the bytes of the cache that a run of the stage ``embed`` writes."""
    slots, work = int(run.settings["views"]["slots"]), works.of(run)
    single = run.settings["precision"] == "single"
    boxes = run.settings["augmentation"]["kind"] != "crop"
    if work is None:
        return None
    return cache_bytes(work.images // slots, slots, teacher.columns, single=single, boxes=boxes)


def _network_bytes(network: Network, images: Images) -> int:
    """Return the bytes of a network and of what it says of the test images."""
    return network.weight_bytes + images.test * (network.columns * _SINGLE + _LABEL)

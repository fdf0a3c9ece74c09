"""Time and memory by the number of images: prepare, embed, an epoch's reading, evaluation.

Each is measured in a fork of its own. Time is that of the processor, of its children too, so that
other work on the machine plays no part; memory is the peak beside what the fork began with. Images
are streamed from disk, as those of data sets that do not fit into memory are.
"""

from __future__ import annotations

import argparse
import dataclasses
import multiprocessing
import os
import resource
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from benchmarks import machine, made_up, table
from benchmarks.prepare import run_of
from benchmarks.rows import Row
from distillery.core.files import write_atomically
from distillery.data import prepare
from distillery.data.augmentation import crop_parameters
from distillery.data.info import DataSetInfo
from distillery.data.prepared import ImageSet
from distillery.data.settings import Augmentation
from distillery.data.stored import StoredImages
from distillery.embeddings import embed
from distillery.embeddings.reader import EmbeddingCache
from distillery.embeddings.slots import slot_name, write_slot
from distillery.embeddings.views import ViewSchedule
from distillery.models.inference import predict
from distillery.runs.artifact import Artifact
from distillery.runs.produce import Workspace, produce
from distillery.runs.run import Run
from distillery.training.loader import ViewLoader

ON_REQUEST = True

ARCH, SIDE, DISTINCT, BATCH = "resnet8", 32, 500, 256
JPEGS, ROWS = (1_000, 5_000, 20_000), (10_000, 100_000, 1_000_000)
TARGET = 1.15
AUGMENTATION = Augmentation(pad=4, flip=True)
SCHEDULE = ViewSchedule(AUGMENTATION.views, 1, 0)


@dataclasses.dataclass(frozen=True)
class Cost:
    """What a part cost.

    Attributes:
        seconds: of the processor.
        megabytes: of memory at the peak, beside those at the beginning.
    """

    seconds: float
    megabytes: float


def measure(quick: bool = False) -> list[Row]:
    """Return time and memory of each part, and how they grow to the largest size."""
    found = costs(quick)
    rows = []
    for part, by_size in found.items():
        *_, before, largest = by_size
        for size, cost in by_size.items():
            rows.append(
                Row(
                    label=f"{part}, {size:,} images",
                    value=cost.seconds,
                    target=None,
                    unit="s",
                    note=f"{cost.megabytes:.0f} MB at the peak",
                )
            )
        each = {size: cost.seconds / size for size, cost in by_size.items()}
        rows.append(
            Row(
                label=f"{part}: time an image, {largest:,} / {before:,}",
                value=each[largest] / each[before],
                target=TARGET,
                at_most=True,
            )
        )
        grown = by_size[largest].megabytes - by_size[before].megabytes
        rows.append(
            Row(
                label=f"{part}: memory more an image",
                value=1e6 * max(grown, 0.0) / (largest - before),
                target=None,
                unit="bytes",
            )
        )
    return rows


def costs(quick: bool) -> dict[str, dict[int, Cost]]:
    """Return what each part costs, by the number of images."""
    share = 10 if quick else 1
    found: dict[str, dict[int, Cost]] = {}
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        pictures = distinct(root / "pictures")
        for images in (each // share for each in JPEGS):
            cost = of_files(pictures, root / f"files-{images}", images)
            found.setdefault("prepare", {})[images] = cost
        for images in (each // share for each in ROWS):
            folder = root / f"rows-{images}"
            folder.mkdir()
            for part, cost in of_rows(folder, images).items():
                found.setdefault(part, {})[images] = cost
    return found


def of_files(pictures: list[Path], folder: Path, images: int) -> Cost:
    """Return what ``prepare`` costs on a folder of so many JPEGs."""
    image_folder(pictures, folder / "raw" / "pictures", images)
    return forked(partial(_prepare, folder))


def of_rows(folder: Path, images: int) -> dict[str, Cost]:
    """Return what the parts cost that read prepared images, so many of them."""
    stored = _stored(folder, images)
    parts = {"embed": _embed, "an epoch's reading": _read, "evaluation": _evaluate}
    return {name: forked(partial(part, folder, stored)) for name, part in parts.items()}


def distinct(
    folder: Path, images: int = DISTINCT, sides: tuple[int, int] = (64, 256)
) -> list[Path]:
    """Write JPEGs as compressible as photographs and return them."""
    random = np.random.default_rng(0)
    folder.mkdir()
    paths = [folder / f"{number:05d}.jpg" for number in range(images)]
    for path in paths:
        coarse = Image.fromarray(random.integers(0, 256, (8, 8, 3), dtype=np.uint8))
        size = tuple(random.integers(sides[0], sides[1] + 1, 2).tolist())
        coarse.resize(size, Image.Resampling.BICUBIC).save(path, quality=90)
    return paths


def image_folder(pictures: list[Path], folder: Path, images: int, classes: int = 10) -> None:
    """Put the pictures under many names into folders of classes, a sixth of them for testing."""
    for number in range(images):
        part = "test" if number % 6 == 5 else "train"
        path = folder / part / f"c{number // 6 % classes}" / f"{number:07d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        os.link(pictures[number % len(pictures)], path)


def forked(work: Callable[[], object]) -> Cost:
    """Do something in a fork of this process and return what it cost.

    Raises:
        RuntimeError: it failed.
    """
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe(duplex=False)
    child = context.Process(target=_child, args=(work, theirs))
    child.start()
    theirs.close()
    try:
        seconds, megabytes = ours.recv()
    except EOFError:
        raise RuntimeError("a measurement failed") from None
    child.join()
    return Cost(seconds, megabytes)


def _child(work: Callable[[], object], end: object) -> None:
    before = _memory("VmRSS")
    work()
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    seconds = sum(each.ru_utime + each.ru_stime for each in used)
    end.send((seconds, _memory("VmHWM") - before))  # type: ignore[attr-defined]


def _memory(name: str) -> float:
    """Return a number of Linux's about this process, in megabytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    (found,) = (line.split()[1] for line in lines if line.startswith(f"{name}:"))
    return int(found) * 1024 / 1e6


def _prepare(folder: Path) -> None:
    """Plan and prepare the pictures: planning looks at all files, too."""
    produce(folder, run_of(folder, 64, streamed=True), prepare.run)


def _stored(folder: Path, images: int) -> Path:
    """Write images of noise, a part at a time."""
    path = folder / "images.npy"
    shape = (images, SIDE, SIDE, 3)
    random = np.random.default_rng(0)
    with path.open("wb") as file:
        header = {"descr": "|u1", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
        for start in range(0, images, 1000):
            count = min(1000, images - start)
            file.write(random.integers(0, 256, (count, *shape[1:]), dtype=np.uint8).data)
    return path


def _images(stored: Path) -> ImageSet:
    count = np.lib.format.open_memmap(stored, mode="r").shape[0]
    index = np.arange(count)
    labels = made_up.labels(count)
    return ImageSet(StoredImages(stored, index), labels, torch.from_numpy(index))


def _info() -> DataSetInfo:
    return made_up.info()


def _embed(folder: Path, stored: Path) -> None:
    """Compute and write a slot, as the stage does."""

    def write(work: Workspace) -> None:
        images, network = _images(stored), made_up.network(ARCH).eval()
        index = images.index.numpy()
        views = torch.from_numpy(SCHEDULE.view(0, index))
        said = embed.outputs(network, images, _info(), AUGMENTATION, views, torch.float16)
        crops = crop_parameters(views, AUGMENTATION, (SIDE, SIDE))
        write_slot(work.out / slot_name(0), index, views, crops, *said, {})
        work.write_json("cache.json", {"arch": ARCH, "image_shape": (SIDE, SIDE)})

    produce(folder, _cached(), write)


def _cached() -> Run:
    settings = {
        "views": {"slots": 1, "seed": 0},
        "augmentation": AUGMENTATION.model_dump(mode="json"),
        "precision": "half",
    }
    return Run("embed", "embeddings", ARCH, settings, {}, "code")


def _read(folder: Path, stored: Path) -> None:
    """Serve all batches of an epoch, with the teacher's outputs."""
    images = _images(stored)
    cache = EmbeddingCache(Artifact(folder / _cached().location), images.index.numpy())
    loader = ViewLoader(
        images, _info(), AUGMENTATION, SCHEDULE, batch_size=BATCH, seed=0, caches=[cache]
    )
    for _ in loader.epoch(0):
        pass


def _evaluate(folder: Path, stored: Path) -> None:
    predict(made_up.network(ARCH).eval(), _images(stored), _info())


def plot(found: dict[str, dict[int, Cost]], path: Path) -> None:
    """Draw time and memory by the number of images, both axes logarithmic."""
    import io

    import matplotlib.pyplot as plt

    from distillery.reporting.figures.style import theme

    with theme():
        figure, axes = plt.subplots(1, 2, figsize=(7, 2.8), layout="constrained")
        for part, by_size in found.items():
            sizes = list(by_size)
            axes[0].loglog(sizes, [by_size[each].seconds for each in sizes], "o-", label=part)
            axes[1].loglog(sizes, [max(by_size[e].megabytes, 1) for e in sizes], "o-", label=part)
        axes[0].set(xlabel="images", ylabel="processor time (s)")
        axes[1].set(xlabel="images", ylabel="peak memory (MB)")
        axes[0].legend(fontsize=6)
        drawn = io.BytesIO()
        figure.savefig(drawn, format="svg", metadata={"Date": None})
        plt.close(figure)
    write_atomically(path, drawn.getvalue())


def _parts(rows: list[Row]) -> Iterator[tuple[str, int, Cost]]:
    for row in rows:
        part, _, size = row["label"].rpartition(", ")
        if size.endswith(" images"):
            count = int(size.removesuffix(" images").replace(",", ""))
            yield part, count, Cost(row["value"], float(row.get("note", "0").split()[0]))


def main() -> None:
    """Measure, and put the table into a document and the plot beside it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sizes", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the images")
    parser.add_argument("document", type=Path)
    parser.add_argument("figure", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(1)
    found_on = machine.described()
    rows = measure(given.quick)
    title = (__doc__ or "").partition("\n")[0].rstrip(".")
    table.put(given.document, table.Block("sizes", title, found_on, tuple(rows)))
    found: dict[str, dict[int, Cost]] = {}
    for part, size, cost in _parts(rows):
        found.setdefault(part, {})[size] = cost
    plot(found, given.figure)


if __name__ == "__main__":
    main()

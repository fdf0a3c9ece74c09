"""Small raw data in the true formats."""

import io
import pickle
import tarfile
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

CLASSES = ("bird", "cat")


def pixels(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def save_image(path: Path, image: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image.squeeze()).save(path)


def image_folder(
    root: Path,
    train: int = 4,
    test: int = 2,
    side: int = 6,
    channels: int = 3,
    suffix: str = ".png",
    test_part: str = "test",
    classes: tuple[str, ...] = CLASSES,
) -> Path:
    seed = 0
    for part, count in (("train", train), (test_part, test)):
        for name in classes:
            for number in range(count):
                seed += 1
                image = pixels(seed, side, side, channels)
                save_image(root / part / name / f"{number:04d}{suffix}", image)
    return root


def tiny_imagenet(root: Path, train: int = 3, side: int = 8) -> Path:
    """Three classes, listed in another order than that of their names."""
    wnids = ("n03", "n01", "n02")
    root.mkdir(parents=True)
    (root / "wnids.txt").write_text("".join(f"{wnid}\n" for wnid in wnids))
    words = {"n01": "goldfish, Carassius", "n02": "crane", "n03": "crane", "n99": "other"}
    (root / "words.txt").write_text("".join(f"{a}\t{b}\n" for a, b in words.items()))
    annotations, seed = [], 0
    for position, wnid in enumerate(wnids):
        for number in range(train):
            seed += 1
            path = root / "train" / wnid / "images" / f"{wnid}_{number}.JPEG"
            save_image(path, pixels(seed, side, side, 3))
        name = f"val_{9 - position}.JPEG"
        save_image(root / "val" / "images" / name, pixels(100 + position, side, side, 3))
        annotations.append(f"{name}\t{wnid}\t0\t0\t5\t5\n")
    (root / "val" / "val_annotations.txt").write_text("".join(annotations))
    return root


def python2_pickle(value: object) -> bytes:
    """Write what Python 2's cPickle wrote: byte strings as such, and the old name of NumPy's core.

    Python 3 has no way to write them, so the opcodes are put together here.
    """

    def encode(value: object) -> bytes:
        if isinstance(value, dict):
            items = b"".join(encode(key) + encode(entry) for key, entry in value.items())
            return b"}(" + items + b"u"
        if isinstance(value, list):
            return b"](" + b"".join(map(encode, value)) + b"e"
        if isinstance(value, tuple):
            return b"(" + b"".join(map(encode, value)) + b"t"
        if isinstance(value, bytes):
            return b"T" + len(value).to_bytes(4, "little") + value
        if isinstance(value, bool):
            return b"\x88" if value else b"\x89"
        if value is None:
            return b"N"
        if isinstance(value, int):
            return b"J" + value.to_bytes(4, "little", signed=True)
        if isinstance(value, np.ndarray):
            kind = (
                b"cnumpy\ndtype\n"
                + encode((b"u1", 0, 1))
                + b"R"
                + encode((3, b"|", None, None, None, -1, -1, 0))
                + b"b"
            )
            made = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n"
            made += encode((0,)) + encode(b"b") + b"tR"
            shape, content = encode(value.shape), encode(value.tobytes())
            return made + b"(" + encode(1) + shape + kind + encode(False) + content + b"tb"
        raise TypeError(type(value))

    return b"\x80\x02" + encode(value) + b"."


def cifar_files(
    source: str = "cifar10", images: int = 4, classes: list[bytes] | None = None
) -> dict[str, bytes]:
    """Return the files of a small CIFAR; batch `b` holds `pixels(b, images, 3072)`."""
    if source == "cifar10":
        folder, labels, names = "cifar-10-batches-py", b"labels", [b"airplane", b"automobile"]
        batches = {f"data_batch_{number}": number for number in range(1, 6)} | {"test_batch": 6}
        meta = ("batches.meta", {b"num_cases_per_batch": images, b"label_names": classes or names})
    else:
        folder, labels, names = "cifar-100-python", b"fine_labels", [b"apple", b"bear"]
        batches = {"train": 1, "test": 2}
        meta = ("meta", {b"coarse_label_names": [b"all"], b"fine_label_names": classes or names})
    files = {f"{folder}/{meta[0]}": python2_pickle(meta[1]), f"{folder}/readme.html": b"<html>"}
    for name, seed in batches.items():
        content = {
            b"batch_label": name.encode(),
            labels: [number % 2 for number in range(images)],
            b"data": pixels(seed, images, 3072),
            b"filenames": [f"{number}.png".encode() for number in range(images)],
        }
        files[f"{folder}/{name}"] = python2_pickle(content)
    return files


def write_tar(path: Path, files: dict[str, bytes], mode: str = "w:gz") -> Path:
    with tarfile.open(path, mode) as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def write_files(root: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return root


def pack(folder: Path, archive: Path) -> Path:
    """Pack a folder, under its own name, into a tar of any compression or a zip."""
    if archive.suffix == ".zip":
        with zipfile.ZipFile(archive, "w") as file:
            for path in sorted(folder.rglob("*")):
                file.write(path, path.relative_to(folder.parent))
    else:
        mode = {".gz": "w:gz", ".xz": "w:xz", ".bz2": "w:bz2"}.get(archive.suffix, "w")
        with tarfile.open(archive, mode) as file:
            file.add(folder, folder.name)
    return archive


class Attack:
    """Runs a command when it is unpickled without care."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, tuple[str]]:
        import os

        return os.system, (f"touch {self.marker}",)


def attack(marker: Path) -> bytes:
    return pickle.dumps({b"label_names": Attack(marker)}, protocol=2)

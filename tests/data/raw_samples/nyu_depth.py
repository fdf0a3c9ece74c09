"""Small MATLAB files of version 7.3 as NYU-Depth V2 publishes them."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
from data_samples import pixels
from scipy.io import savemat

# As they are spelled in the file.
SCENES = [
    *("bedroom", "kitchen", "living_room", "bathroom", "dining_room", "office", "home_office"),
    *("classroom", "bookstore", "excercise_room", "study"),
]
COPIES = 4
COUNT = len(SCENES) * COPIES
# Every second image, so that both parts have every scene.
TRAIN, TEST = np.arange(1, COUNT + 1, 2), np.arange(2, COUNT + 1, 2)
LABELLED = "nyu_depth_v2_labeled.mat"


def contents(width: int = 8, height: int = 8) -> dict[str, Any]:
    """Return what the file of images holds, with MATLAB's axes as h5py sees them."""
    metres = np.random.default_rng(1).uniform(0, 12, (COUNT, width, height))
    return {
        "images": pixels(0, COUNT, 3, width, height),
        "depths": metres.astype(np.float32),
        "sceneTypes": SCENES * COPIES,
    }


def write_labelled(path: Path, content: dict[str, Any]) -> None:
    """Write a MATLAB file of version 7.3: HDF5 behind 512 bytes, and cells as references."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w", userblock_size=512) as file:
        for key, value in content.items():
            if isinstance(value, list):
                cells = [
                    file.create_dataset(f"#refs#/{key}{number}", data=characters(each))
                    for number, each in enumerate(value)
                ]
                references = np.array([[cell.ref for cell in cells]], dtype=h5py.ref_dtype)
                file.create_dataset(key, data=references)
                file[key].attrs["MATLAB_class"] = np.bytes_(b"cell")
            else:
                chunks = (1, *value.shape[1:])
                file.create_dataset(key, data=value, chunks=chunks, compression="gzip")
    with path.open("r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124) + b"\0\2IM")


def characters(text: str) -> np.ndarray:
    return np.array([[ord(each)] for each in text], dtype=np.uint16)


def write_splits(path: Path, train: Any = TRAIN, test: Any = TEST) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    columns = {"trainNdxs": train, "testNdxs": test}
    # MATLAB's numbers are floats unless someone asks for others.
    savemat(path, {key: np.array(each, dtype=float)[:, None] for key, each in columns.items()})


def write_both(folder: Path, **changes: Any) -> Path:
    write_labelled(folder / LABELLED, contents() | changes)
    write_splits(folder / "splits.mat")
    return folder


def write(raw: Path, source: str) -> dict[str, Any]:
    """Write both files."""
    write_both(raw / "nyu_depth_v2")
    return {"image_size": 8}

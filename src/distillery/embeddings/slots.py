"""The Parquet format of a teacher cache: one file a slot.

Columns: ``index`` (int32, row of the canonical training part), ``crop_top``, ``crop_left``
(int16, pixels) and ``flip`` (bool) of the view, ``logits`` and ``embedding`` (fixed-size lists of
float16 or float32). Random boxes also have ``crop_height``, ``crop_width`` (int16) and ``view``
(int64), the number that they were drawn from. The file's metadata names the teacher's and the
data's runs.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import Tensor

from distillery.core.columns import as_column
from distillery.core.errors import DamagedArtifact
from distillery.core.files import atomic_writer
from distillery.data.augmentation import CropFlip, crop_parameters, encode
from distillery.data.boxes import Boxes
from distillery.data.settings import Augmentation

# Bytes of an image's index and view, of which flip is a bit, and of what a random box has beside.
_VIEW_BYTES, _BOX_BYTES = 4 + 2 + 2 + 1 / 8, 2 + 2 + 8


def slot_name(number: int) -> str:
    """Return the file name of a slot."""
    return f"slot-{number:04d}.parquet"


def slot_bytes(images: int, width: int, item: int, *, boxes: bool = False) -> int:
    """Return about how many bytes a slot takes.

    Args:
        images: number of images.
        width: numbers that are stored of each, logits and embedding together.
        item: bytes of such a number.
        boxes: whether views are random boxes.
    """
    view = _VIEW_BYTES + (_BOX_BYTES if boxes else 0)
    return round(images * (width * item + view))


def write_slot(
    path: Path,
    index: np.ndarray,
    views: Tensor,
    crops: CropFlip | Boxes,
    logits: np.ndarray,
    embedding: np.ndarray,
    metadata: dict[str, str],
) -> None:
    """Write one slot so that the file appears complete or not at all.

    Args:
        path: where to write.
        index: (N,) images.
        views: (N,) int64, the number of the view of each.
        crops: what these views show.
        logits: (N, C) in the precision to store.
        embedding: (N, D) in the precision to store.
        metadata: what the file should say of its origin.
    """
    table = pa.table(
        {
            "index": pa.array(index.astype(np.int32)),
            **_columns(views, crops),
            "logits": as_column(logits),
            "embedding": as_column(embedding),
        }
    ).replace_schema_metadata(metadata)
    with atomic_writer(path) as file:
        pq.write_table(
            table,
            file,
            compression="none",
            use_dictionary=False,
            write_page_checksum=True,
            row_group_size=len(index),
        )


def views_of(table: pa.Table, augmentation: Augmentation, shape: tuple[int, int]) -> Tensor:
    """Return the view numbers (N,) int64 in a slot.

    Args:
        table: the slot.
        augmentation: the settings that the cache was made with.
        shape: height and width of the images, for random boxes.

    Raises:
        DamagedArtifact: columns are missing, or the boxes are not those that are drawn from their
            numbers.
    """
    needed = ("crop_top", "crop_left", "flip") if augmentation.kind == "crop" else ("view",)
    if missing := [name for name in needed if name not in table.column_names]:
        raise DamagedArtifact(f"lacks the column {', '.join(missing)}")
    columns = {
        name: torch.from_numpy(table[name].to_numpy().copy())
        for name in table.column_names
        if name.startswith("crop_") or name in ("flip", "view")
    }
    if augmentation.kind == "crop":
        return encode(
            CropFlip(columns["crop_top"], columns["crop_left"], columns["flip"]), augmentation
        )
    views = columns["view"]
    drawn = _columns(views, crop_parameters(views, augmentation, shape))
    for name, values in drawn.items():
        if name not in columns or not np.array_equal(
            values.to_numpy(zero_copy_only=False), columns[name].numpy()
        ):
            raise DamagedArtifact(f"{name}: differs from the boxes that are drawn from the views")
    return views


def _columns(views: Tensor, crops: CropFlip | Boxes) -> dict[str, pa.Array]:
    """Return the columns that say what is shown of each image."""
    columns = {
        "crop_top": _short(crops.top),
        "crop_left": _short(crops.left),
        "flip": pa.array(crops.flip.numpy().astype(bool)),
    }
    if isinstance(crops, Boxes):
        columns["crop_height"] = _short(crops.height)
        columns["crop_width"] = _short(crops.width)
        columns["view"] = pa.array(views.numpy().astype(np.int64))
    return columns


def _short(pixels: Tensor) -> pa.Array:
    return pa.array(pixels.numpy().astype(np.int16))

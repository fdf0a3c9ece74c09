"""What becomes of an image before a network sees it; complete, so that it goes with a file."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from distillery.core.settings import FrozenModel
from distillery.data.augmentation import normalise
from distillery.data.info import DataSetInfo
from distillery.data.prepare import as_prepared
from distillery.data.settings import PrepareSettings, Reading
from distillery.data.single import read_image
from distillery.models.settings import architecture_of

if TYPE_CHECKING:
    from distillery.runs.artifact import Artifact

_CHANNELS = {
    "lab": ("L*", "a*", "b*"),
    1: ("grey",),
    3: ("red", "green", "blue"),
    4: ("red", "green", "blue", "depth"),
}
_AREA = "area: Pillow's BOX where images shrink, BILINEAR where they grow"


class Preprocessing(FrozenModel):
    """From an image to the input of a network, and from its output to classes."""

    size: tuple[int, int]
    """Height and width of the network's input."""
    resize: str
    """How images of another size are resized, in words."""
    channel_order: tuple[str, ...]
    """What the channels of the network's input are, in their order."""
    scale: float = 1 / 255
    """Factor of the 8-bit values before they are normalised."""
    mean: tuple[float, ...]
    """Subtracted from each channel after that."""
    std: tuple[float, ...]
    """Each channel is divided by it in the end."""
    classes: tuple[str, ...]
    """Names of the classes, in the order of the logits."""
    channels: tuple[int, ...] | None
    """Which channels of the data set the network sees; None for all."""
    depth: int
    """How many channels the data set has."""
    reading: Reading
    """The settings with which the data set was prepared."""

    @classmethod
    def of(cls, trained: Artifact, prepared: Artifact) -> Preprocessing:
        """Return what becomes of the images of a finished network.

        Args:
            trained: its run.
            prepared: the run of its data set.
        """
        info, architecture = DataSetInfo.load(prepared), architecture_of(trained)
        reading = PrepareSettings.model_validate(prepared.settings).reading
        seen, channels = architecture.seen(info), architecture.channels
        order = _CHANNELS["lab" if reading.colour == "lab" else info.shape[2]]
        return cls(
            size=info.shape[:2],
            resize=_rule(reading),
            channel_order=order if channels is None else tuple(order[each] for each in channels),
            mean=seen.mean,
            std=seen.std,
            classes=info.classes,
            channels=channels,
            depth=info.shape[2],
            reading=reading,
        )

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, str]) -> Preprocessing:
        """Read what ``metadata`` wrote; other entries are left out.

        Raises:
            ValueError: it is not that.
        """
        own = {name: json.loads(metadata[name]) for name in cls.model_fields if name in metadata}
        return cls.model_validate(own)

    def metadata(self) -> dict[str, str]:
        """Return all of it as JSON, a text for each name, for the metadata of a file."""
        return {name: json.dumps(value) for name, value in self.model_dump(mode="json").items()}

    def applied(self, images: Sequence[Any]) -> Tensor:
        """Return images as the network expects them, (B, C, H, W) float32.

        Args:
            images: paths of image files; images of Pillow; or arrays (h, w, 1 or 3) or (h, w) of
                uint8, grey or red, green and blue.

        A file that is no image is a ``UserError``.
        """
        pixels = np.stack([self._pixels(image) for image in images])
        chosen = pixels if self.channels is None else pixels[..., list(self.channels)]
        return normalise(torch.from_numpy(np.ascontiguousarray(chosen)), self.mean, self.std)

    def _pixels(self, image: Any) -> np.ndarray:
        shape = (*self.size, self.depth)
        if isinstance(image, str | Path):
            return read_image(Path(image), shape, self.reading)
        if hasattr(image, "convert"):
            image = np.asarray(image if image.mode in ("L", "RGB") else image.convert("RGB"))
        image = np.asarray(image, dtype=np.uint8)
        full = image[:, :, None] if image.ndim == 2 else image
        return as_prepared(full, "the image", shape, self.reading)


def _rule(reading: Reading) -> str:
    """Say how images of another size are resized."""
    what = "the central square" if reading.resize == "crop" else "the whole image, squeezed"
    return f"{what}; filter {_AREA if reading.filter == 'area' else reading.filter}"

"""Networks as files of ``torch.export``, which PyTorch runs without the code of this package."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from distillery.models.base import Classifier
from distillery.serving.onnx import LogitsAlone, silence


def save(
    network: Classifier, shape: tuple[int, int, int], path: Path, metadata: Mapping[str, str]
) -> None:
    """Write a network that maps images (B, C, H, W), normalised, to logits (B, classes), any B.

    Args:
        network: in evaluation mode, on the CPU.
        shape: height, width and channels of its images.
        path: where to write.
        metadata: what the file should say, above all of the preprocessing.
    """
    height, width, channels = shape
    # With one image alone the size of the batch would be taken for fixed.
    images = torch.zeros(2, channels, height, width)
    with silence():
        program = torch.export.export(
            LogitsAlone(network).eval(),
            (images,),
            dynamic_shapes=({0: torch.export.Dim("batch")},),
        )
        torch.export.save(program, path, extra_files=dict(metadata))


def load(path: Path, names: list[str]) -> tuple[Callable[[Tensor], np.ndarray], dict[str, str]]:
    """Open such a file.

    Args:
        path: the file.
        names: of the metadata to read.

    Returns:
        A function from images (B, C, H, W) to logits (B, classes); and the metadata.
    """
    extra: dict[str, str | bytes] = dict.fromkeys(names, "")
    with silence():
        module = torch.export.load(path, extra_files=extra).module()
    texts = {
        name: text.decode() if isinstance(text, bytes) else text for name, text in extra.items()
    }

    def logits(images: Tensor) -> np.ndarray:
        with torch.inference_mode():
            found: np.ndarray = module(images).numpy()
        return found

    return logits, {name: text for name, text in texts.items() if text}

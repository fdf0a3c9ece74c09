"""Networks as ONNX files, in 32-bit floats and in 8-bit integers.

They map normalised ``images`` (B, C, H, W) to ``logits`` (B, classes) for any B; their metadata say
what has to become of an image before. ONNX Runtime runs them on the CPU.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from distillery.core.conditions import OnlyWith
from distillery.core.errors import DistilleryError
from distillery.core.randomness import generator
from distillery.core.settings import FrozenModel
from distillery.data.info import DataSetInfo, Part
from distillery.data.prepared import ImageSet, load
from distillery.models.base import Classifier
from distillery.models.inference import in_batches, normalised
from distillery.models.weights import channels_of

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

    from distillery.runs.artifact import Artifact

INPUT, OUTPUT = "images", "logits"
OPSET = 20
"""Version of the operators, unless another one is asked for."""
_TOLERANCE = 1e-4
_BATCH = 250


class Quantisation(FrozenModel):
    """How networks are brought to 8-bit integers."""

    quantisation: Literal["static", "dynamic"] = "static"
    """Whether the ranges of activations are fixed beforehand, from calibration images, or found
    anew for each image. Weights are quantised beforehand in both."""
    calibration_images: Annotated[int, OnlyWith("quantisation", "static")] = Field(
        default=512, ge=1
    )
    """Training images, drawn at random, that a static quantisation finds the ranges with."""
    narrow_weights: bool = True
    """Whether a static quantisation uses 7 bits of a weight's 8, so that sums do not saturate
    on processors that add up products in 16 bits, those without VNNI."""


def export(
    network: Classifier, info: DataSetInfo, path: Path, opset: int, metadata: Mapping[str, str]
) -> None:
    """Write a network as ONNX; equal weights give equal bytes.

    Args:
        network: in evaluation mode, on the CPU.
        info: of the images that the network sees.
        path: where to write.
        opset: version of the operators.
        metadata: what the file should say, above all of the preprocessing.
    """
    import onnx

    height, width, channels = info.shape
    # With one image alone the exporter would take the size of the batch for fixed.
    images = torch.zeros(2, channels, height, width)
    with silence():
        program = torch.onnx.export(
            LogitsAlone(network).eval(),
            (images,),
            dynamo=True,
            opset_version=opset,
            input_names=[INPUT],
            output_names=[OUTPUT],
            dynamic_shapes=({0: torch.export.Dim("batch")},),
            verbose=False,
        )
    assert program is not None
    model = program.model_proto
    _forget_origin(model)
    onnx.helper.set_model_props(model, dict(metadata))
    onnx.save(model, path)


def quantise(
    source: Path, target: Path, options: Quantisation, images: Iterator[np.ndarray]
) -> None:
    """Write an exported network with 8-bit weights and activations.

    Args:
        source: the exported network, with batch normalisation folded into convolutions.
        target: where to write.
        options: how to quantise.
        images: batches of normalised calibration images, each (B, C, H, W).
    """
    from onnxruntime import quantization

    class Reader:
        # All that ONNX Runtime asks of its untyped CalibrationDataReader.
        def get_next(self) -> dict[str, np.ndarray] | None:
            batch = next(images, None)
            return None if batch is None else {INPUT: batch}

    with silence():
        if options.quantisation == "dynamic":
            # Signed weights take several times as long in this kind of convolution.
            unsigned = quantization.QuantType.QUInt8
            quantization.quantize_dynamic(source, target, weight_type=unsigned)
            return
        quantization.quantize_static(
            source,
            target,
            Reader(),
            quant_format=quantization.QuantFormat.QDQ,
            per_channel=True,
            reduce_range=options.narrow_weights,
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
        )


def open_session(path: Path, threads: int) -> InferenceSession:
    """Return a session that runs an ONNX file on the CPU."""
    import onnxruntime

    chosen = onnxruntime.SessionOptions()
    chosen.intra_op_num_threads = threads
    chosen.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(path, chosen, providers=["CPUExecutionProvider"])


class LogitsAlone(nn.Module):
    """A network that returns logits (B, C) alone for images (B, channels, H, W)."""

    def __init__(self, network: Classifier) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        """Classify images (B, channels, H, W): logits (B, C)."""
        logits: Tensor = self.network(images).logits
        return logits


def _forget_origin(model: Any) -> None:
    """Remove what the exporter notes of source files and of intermediate shapes, some outdated."""
    graph = model.graph
    graph.ClearField("value_info")
    graph.ClearField("metadata_props")
    for part in (*graph.node, *graph.input, *graph.output, *graph.initializer):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")


@contextmanager
def silence() -> Iterator[None]:
    """Keep the remarks of exporter and quantiser from the log."""
    before = logging.root.manager.disable
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.disable(logging.WARNING)
        try:
            yield
        finally:
            logging.disable(before)


def drawn(
    prepared: Artifact, trained: Artifact, part: Part, wanted: int | None, purpose: str
) -> ImageSet:
    """Return random images of a part as a network sees them, or all of them.

    Args:
        prepared: the run of its data set.
        trained: the run of the network.
        part: which part.
        wanted: how many; None for all.
        purpose: what for: others are drawn for another purpose.
    """
    available = DataSetInfo.load(prepared).counts[part]
    chosen = generator(0, purpose).permutation(available)[:wanted]
    return load(prepared, part, np.sort(chosen)).of_channels(channels_of(trained))


def arrays(images: ImageSet, info: DataSetInfo) -> Iterator[np.ndarray]:
    """Yield batches of normalised images, each (B, C, H, W)."""
    for pixels in normalised(images, info, in_batches(len(images), _BATCH)):
        yield np.ascontiguousarray(pixels.numpy())


def check_same(exported: np.ndarray, original: np.ndarray) -> None:
    """Check that logits (N, C) differ by no more than rounding errors explain.

    Raises:
        DistilleryError: the exported network is another function than the original.
    """
    difference = np.abs(exported - original).max()
    # Rounding errors grow with the logits.
    allowed = _TOLERANCE * max(1.0, np.abs(original).max())
    # Not the reverse, so that what is no number does not pass.
    if not difference <= allowed:
        raise DistilleryError(
            f"the logits of the exported network are off by {difference:.2g} (allowed: "
            f"{allowed:.2g}); another opset may help"
        )

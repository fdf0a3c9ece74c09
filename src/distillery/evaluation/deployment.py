"""A network as it would be deployed: exported to ONNX, in 32-bit floats and in 8-bit integers.

Both files stay in the run directory. They map normalised ``images`` (B, C, H, W) to ``logits``
(B, classes) for any B; their metadata say how to normalise, and what the classes are. ONNX Runtime
runs them on the CPU.
"""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from distillery.core.errors import DistilleryError, UserError
from distillery.core.measuring import MIB, Clock, summary, timings
from distillery.core.randomness import generator
from distillery.core.settings import FrozenModel
from distillery.data.info import DataSetInfo, Part
from distillery.data.prepared import ImageSet, load
from distillery.evaluation.base import METRICS, Protocol, write_details
from distillery.evaluation.metrics import percent_equal
from distillery.models.base import Classifier
from distillery.models.inference import in_batches, normalised
from distillery.models.settings import architecture_of
from distillery.models.weights import channels_of, load_network

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

    from distillery.runs.artifact import Artifact
    from distillery.runs.produce import Workspace

_INPUT, _OUTPUT = "images", "logits"
_TOLERANCE = 1e-4
_BATCH = 250


class Deployment(Protocol):
    """Size, latency and accuracy of the exported network."""

    title = "Deployment"
    exclusive = True

    class Options(FrozenModel):
        """Options of the protocol."""

        opset: int = Field(default=20, ge=18, le=23)
        """Version of the ONNX operators."""
        quantisation: Literal["static", "dynamic"] = "static"
        """Whether the ranges of activations are fixed beforehand, from calibration images, or found
        anew for each image. Weights are quantised beforehand in both."""
        calibration_images: int = Field(default=512, ge=1)
        """Training images, drawn at random, that a static quantisation finds the ranges with."""
        narrow_weights: bool = True
        """Whether a static quantisation uses 7 bits of a weight's 8, so that sums do not saturate
        on processors that add up products in 16 bits, those without VNNI."""
        test_images: int | None = Field(default=None, ge=1)
        """Test images, drawn at random, that accuracy is measured with; all when not given."""
        warmup: int = Field(default=50, ge=1, le=10_000)
        """Images classified before the timed ones."""
        repeats: int = Field(default=500, ge=2, le=100_000)
        """Timed images."""
        threads: int = Field(default=1, ge=1, le=256)
        """CPU threads."""

    options: Options

    def limits(self, per_class: Mapping[Part, Sequence[int]]) -> dict[str, int]:
        """Images are drawn without repetition."""
        asked_of: dict[str, Part] = {"calibration_images": "train", "test_images": "test"}
        return {name: sum(per_class[part]) for name, part in asked_of.items() if part in per_class}

    def run(self, work: Workspace) -> None:
        """Write ``student.onnx``, ``student-int8.onnx``, ``metrics.json`` and ``details.parquet``.

        The files of a teacher are ``teacher.onnx`` and ``teacher-int8.onnx``. Metrics of both, with
        the prefixes ``float`` and ``int8``: ``..._mb``, size in MiB; ``..._ms`` with the quartiles
        ``..._ms_q1`` and ``..._ms_q3``, milliseconds to classify one image; ``..._top1``, accuracy
        in percent. ``agreement`` is the share of images that both put into one class, in percent;
        ``largest_difference`` the largest one between the logits of the exported network and of the
        network in PyTorch; ``opset`` and ``test_images`` are what was used.

        Columns of the details: ``measure`` (``float``, ``int8``), ``repeat``, ``milliseconds``,
        ``device``.
        """
        options = self.options
        torch.set_num_threads(options.threads)
        work.record["device"] = f"cpu ({torch.backends.cpu.get_cpu_capability()})"
        prepared, trained = work.inputs["prepared"], work.inputs["network"]
        info = DataSetInfo.load(prepared)
        network = load_network(trained, info)
        info = architecture_of(trained).seen(info)
        role = "student" if trained.manifest["stage"] == "train-student" else "teacher"
        paths = {"float": work.out / f"{role}.onnx", "int8": work.out / f"{role}-int8.onnx"}
        export(network, info, paths["float"], options.opset, {"run": trained.key})
        quantise(paths["float"], paths["int8"], options, _calibration(prepared, trained, options))
        sessions = {name: open_session(path, options.threads) for name, path in paths.items()}
        test = _draw(prepared, trained, "test", options.test_images, "test_images")
        logits = _classify(network, sessions, test, info)
        check_same(logits["float"], logits["torch"])
        image = next(_arrays(test, info))[:1]
        times = Clock(torch.device("cpu"), options.warmup, options.repeats).time(
            {
                name: partial(session.run, None, {_INPUT: image})
                for name, session in sessions.items()
            }
        )
        metrics = {f"{name}_mb": path.stat().st_size / MIB for name, path in paths.items()}
        metrics |= {"opset": options.opset, "test_images": len(test)}
        metrics |= summary(times) | _compare(logits, test.labels.numpy())
        work.write_json(METRICS, metrics)
        write_details(work, timings(times, work.record["device"]))


def export(
    network: Classifier, info: DataSetInfo, path: Path, opset: int, metadata: Mapping[str, str]
) -> None:
    """Write a network as ONNX; equal weights give equal bytes.

    Args:
        network: in evaluation mode, on the CPU.
        info: of the images that the network sees.
        path: where to write.
        opset: version of the operators.
        metadata: what the file should say beside ``mean``, ``std`` and ``classes`` (JSON).
    """
    import onnx

    height, width, channels = info.shape
    # With one image alone the exporter would take the size of the batch for fixed.
    images = torch.zeros(2, channels, height, width)
    with _silence():
        program = torch.onnx.export(
            _LogitsAlone(network).eval(),
            (images,),
            dynamo=True,
            opset_version=opset,
            input_names=[_INPUT],
            output_names=[_OUTPUT],
            dynamic_shapes=({0: torch.export.Dim("batch")},),
            verbose=False,
        )
    assert program is not None
    model = program.model_proto
    _forget_origin(model)
    facts = {"mean": info.mean, "std": info.std, "classes": info.classes}
    described = {name: json.dumps(value) for name, value in facts.items()}
    onnx.helper.set_model_props(model, {**described, **metadata})
    onnx.save(model, path)


def quantise(
    source: Path, target: Path, options: Deployment.Options, images: Iterator[np.ndarray]
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
            return None if batch is None else {_INPUT: batch}

    with _silence():
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


class _LogitsAlone(nn.Module):
    def __init__(self, network: Classifier) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
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
def _silence() -> Iterator[None]:
    """Keep the remarks of exporter and quantiser from the log."""
    before = logging.root.manager.disable
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.disable(logging.WARNING)
        try:
            yield
        finally:
            logging.disable(before)


def _calibration(
    prepared: Artifact, trained: Artifact, options: Deployment.Options
) -> Iterator[np.ndarray]:
    if options.quantisation == "dynamic":
        return iter(())
    info = architecture_of(trained).seen(DataSetInfo.load(prepared))
    wanted = options.calibration_images
    return _arrays(_draw(prepared, trained, "train", wanted, "calibration_images"), info)


def _draw(
    prepared: Artifact, trained: Artifact, part: Part, wanted: int | None, option: str
) -> ImageSet:
    """Return random images of a part as the network sees them, or all of them.

    Raises:
        UserError: there are fewer images than the option asks for.
    """
    available = DataSetInfo.load(prepared).counts[part]
    if wanted is not None and wanted > available:
        raise UserError(
            f"protocol 'deployment': options.{option}: found {wanted}; the data set has "
            f"{available} such images (allowed: 1 to {available})"
        )
    count = available if wanted is None else wanted
    chosen = generator(0, option).permutation(available)[:count]
    return load(prepared, part, np.sort(chosen)).of_channels(channels_of(trained))


def _arrays(images: ImageSet, info: DataSetInfo) -> Iterator[np.ndarray]:
    """Yield batches of normalised images, each (B, C, H, W)."""
    for pixels in normalised(images, info, in_batches(len(images), _BATCH)):
        yield np.ascontiguousarray(pixels.numpy())


@torch.inference_mode()
def _classify(
    network: Classifier,
    sessions: Mapping[str, InferenceSession],
    images: ImageSet,
    info: DataSetInfo,
) -> dict[str, np.ndarray]:
    """Return the logits (N, C) by each session, and by the network under the name ``torch``."""
    found: dict[str, list[np.ndarray]] = {name: [] for name in (*sessions, "torch")}
    for batch in _arrays(images, info):
        found["torch"].append(network(torch.from_numpy(batch)).logits.numpy())
        for name, session in sessions.items():
            found[name] += session.run([_OUTPUT], {_INPUT: batch})
    return {name: np.concatenate(logits) for name, logits in found.items()}


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
            f"{allowed:.2g}); another options.opset of protocol 'deployment' may help"
        )


def _compare(logits: Mapping[str, np.ndarray], labels: np.ndarray) -> dict[str, float]:
    """Return the metrics that come from logits (N, C) and labels (N,)."""
    by_float, by_int8 = (logits[name].argmax(axis=1) for name in ("float", "int8"))
    return {
        "float_top1": percent_equal(by_float, labels),
        "int8_top1": percent_equal(by_int8, labels),
        "agreement": percent_equal(by_int8, by_float),
        "largest_difference": float(np.abs(logits["float"] - logits["torch"]).max()),
    }

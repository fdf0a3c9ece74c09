"""A network as it would be deployed: exported to ONNX, in 32-bit floats and in 8-bit integers.

Both files stay in the run directory. They map normalised ``images`` (B, C, H, W) to ``logits``
(B, classes) for any B; their metadata say what has to become of an image before, and what the
classes are. ONNX Runtime runs them on the CPU.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch
from pydantic import Field

from distillery.core.errors import UserError
from distillery.core.measuring import MIB, Clock, summary, timings
from distillery.data.info import DataSetInfo, Part
from distillery.data.prepared import ImageSet
from distillery.evaluation.base import METRICS, Protocol, write_details
from distillery.evaluation.metrics import percent_equal
from distillery.models.base import Classifier
from distillery.models.settings import architecture_of
from distillery.models.weights import load_network
from distillery.serving.onnx import (
    INPUT,
    OPSET,
    OUTPUT,
    Quantisation,
    arrays,
    check_same,
    drawn,
    export,
    open_session,
    quantise,
)
from distillery.serving.preprocessing import Preprocessing

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

    from distillery.runs.artifact import Artifact
    from distillery.runs.produce import Workspace


class Deployment(Protocol):
    """Size, latency and accuracy of the exported network."""

    title = "Deployment"
    exclusive = True

    class Options(Quantisation):
        """Options of the protocol."""

        opset: int = Field(default=OPSET, ge=18, le=23)
        """Version of the ONNX operators."""
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
        metadata = Preprocessing.of(trained, prepared).metadata() | {"run": trained.key}
        export(network, info, paths["float"], options.opset, metadata)
        quantise(paths["float"], paths["int8"], options, _calibration(prepared, trained, options))
        sessions = {name: open_session(path, options.threads) for name, path in paths.items()}
        test = _draw(prepared, trained, "test", options.test_images, "test_images")
        logits = _classify(network, sessions, test, info)
        check_same(logits["float"], logits["torch"])
        image = next(arrays(test, info))[:1]
        times = Clock(torch.device("cpu"), options.warmup, options.repeats).time(
            {name: partial(session.run, None, {INPUT: image}) for name, session in sessions.items()}
        )
        metrics = {f"{name}_mb": path.stat().st_size / MIB for name, path in paths.items()}
        metrics |= {"opset": options.opset, "test_images": len(test)}
        metrics |= summary(times) | _compare(logits, test.labels.numpy())
        work.write_json(METRICS, metrics)
        write_details(work, timings(times, work.record["device"]))


def _calibration(
    prepared: Artifact, trained: Artifact, options: Deployment.Options
) -> Iterator[np.ndarray]:
    if options.quantisation == "dynamic":
        return iter(())
    info = architecture_of(trained).seen(DataSetInfo.load(prepared))
    wanted = options.calibration_images
    return arrays(_draw(prepared, trained, "train", wanted, "calibration_images"), info)


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
    return drawn(prepared, trained, part, wanted, option)


@torch.inference_mode()
def _classify(
    network: Classifier,
    sessions: Mapping[str, InferenceSession],
    images: ImageSet,
    info: DataSetInfo,
) -> dict[str, np.ndarray]:
    """Return the logits (N, C) by each session, and by the network under the name ``torch``."""
    found: dict[str, list[np.ndarray]] = {name: [] for name in (*sessions, "torch")}
    for batch in arrays(images, info):
        found["torch"].append(network(torch.from_numpy(batch)).logits.numpy())
        for name, session in sessions.items():
            found[name] += session.run([OUTPUT], {INPUT: batch})
    return {name: np.concatenate(logits) for name, logits in found.items()}


def _compare(logits: Mapping[str, np.ndarray], labels: np.ndarray) -> dict[str, float]:
    """Return the metrics that come from logits (N, C) and labels (N,)."""
    by_float, by_int8 = (logits[name].argmax(axis=1) for name in ("float", "int8"))
    return {
        "float_top1": percent_equal(by_float, labels),
        "int8_top1": percent_equal(by_int8, labels),
        "agreement": percent_equal(by_int8, by_float),
        "largest_difference": float(np.abs(logits["float"] - logits["torch"]).max()),
    }

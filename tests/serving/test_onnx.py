"""Exported files against the networks that they come from."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up_data import made_up_info
from onnxruntime import InferenceSession

from distillery.core.errors import DistilleryError
from distillery.models import registry as models
from distillery.models.base import Classifier
from distillery.serving import onnx as exporting
from distillery.serving.onnx import Quantisation, check_same, export, open_session, quantise

INFO = made_up_info(shape=(16, 16, 3), mean=(0.5, 0.4, 0.3), std=(0.2, 0.2, 0.25))


def noise(images: int, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    return random.standard_normal((images, 3, 16, 16)).astype(np.float32)


def untrained(arch: str) -> Classifier:
    """A network whose batch normalisation has seen some images."""
    torch.manual_seed(0)
    network = models.build(arch, num_classes=3, in_channels=3).train()
    with torch.no_grad():
        for step in range(5):
            network(torch.from_numpy(noise(32, step)))
    return network.eval().requires_grad_(False)


@pytest.fixture(scope="module", params=["resnet8", "ShuffleV1"])
def network(request: pytest.FixtureRequest) -> Classifier:
    return untrained(request.param)


@pytest.fixture(scope="module")
def exported(network: Classifier, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("exported") / "student.onnx"
    export(network, INFO, path, 20, {"run": "0123", "classes": "[]"})
    return path


def answers(session: InferenceSession, images: np.ndarray) -> np.ndarray:
    (logits,) = session.run(["logits"], {"images": images})
    return logits


def test_the_exported_network_is_the_network(network: Classifier, exported: Path) -> None:
    session = open_session(exported, 1)

    @settings(max_examples=10)
    @given(st.integers(1, 9), st.integers(0, 2**32 - 1))
    def holds(images: int, seed: int) -> None:
        batch = noise(images, seed)
        expected = network(torch.from_numpy(batch)).logits.numpy()
        assert np.abs(answers(session, batch) - expected).max() < 1e-4

    holds()


@pytest.mark.slow
@pytest.mark.parametrize(
    "arch", [name for name in models.names() if not name.startswith("imagenet_")]
)
def test_every_network_for_small_images_is_exported_as_it_is(arch: str, tmp_path: Path) -> None:
    original, path, batch = untrained(arch), tmp_path / "network.onnx", noise(4)
    export(original, INFO, path, 20, {"run": "0123"})
    expected = original(torch.from_numpy(batch)).logits.numpy()
    difference = np.abs(answers(open_session(path, 1), batch) - expected).max()
    # Deep networks that are untrained have logits above 100, which single precision rounds.
    assert difference < 1e-4 * max(1, np.abs(expected).max() / 10)


def test_the_file_says_how_to_use_it_and_not_where_it_was_made(exported: Path) -> None:
    model = onnx.load(exported)
    onnx.checker.check_model(model, full_check=True)
    facts = {entry.key: entry.value for entry in model.metadata_props}
    assert facts == {"run": "0123", "classes": "[]"}
    assert model.opset_import[0].version == 20
    content = exported.read_bytes()
    assert str(Path(exporting.__file__).parents[2]).encode() not in content
    assert b"stack_trace" not in content


def test_equal_weights_give_equal_bytes(tmp_path: Path) -> None:
    network = untrained("resnet8")
    for name in ("one", "other"):
        export(network, INFO, tmp_path / name, 20, {})
    assert (tmp_path / "one").read_bytes() == (tmp_path / "other").read_bytes()


@pytest.mark.parametrize("kind", ["static", "dynamic"])
def test_eight_bits_take_less_room_and_say_nearly_the_same(
    network: Classifier, exported: Path, tmp_path: Path, kind: Any
) -> None:
    target, images = tmp_path / "int8.onnx", noise(64, 7)
    quantise(exported, target, Quantisation(quantisation=kind), iter([images[:32], images[32:]]))
    assert target.stat().st_size < 0.4 * exported.stat().st_size
    model = onnx.load(target)
    stored = {tensor.data_type for tensor in model.graph.initializer if len(tensor.dims) > 1}
    small = onnx.TensorProto.INT8 if kind == "static" else onnx.TensorProto.UINT8
    assert stored == {small}
    assert {"classes", "run"} <= {entry.key for entry in model.metadata_props}
    expected = network(torch.from_numpy(images)).logits.numpy()
    found = answers(open_session(target, 1), images)
    assert 0 < np.abs(found - expected).max() < 0.1 * np.ptp(expected)


def test_narrow_weights_use_seven_bits(tmp_path: Path) -> None:
    export(untrained("resnet8"), INFO, tmp_path / "float.onnx", 20, {})
    for narrow, largest in ((True, 64), (False, 127)):
        options = Quantisation(narrow_weights=narrow)
        quantise(tmp_path / "float.onnx", tmp_path / "int8.onnx", options, iter([noise(16)]))
        initialisers = onnx.load(tmp_path / "int8.onnx").graph.initializer
        weights = [
            onnx.numpy_helper.to_array(tensor)
            for tensor in initialisers
            if tensor.data_type == onnx.TensorProto.INT8 and len(tensor.dims) > 1
        ]
        assert max(np.abs(each.astype(int)).max() for each in weights) == largest


def test_exporter_and_quantiser_are_silent(
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    recwarn: pytest.WarningsRecorder,
) -> None:
    export(untrained("resnet8"), INFO, tmp_path / "float.onnx", 20, {})
    quantise(tmp_path / "float.onnx", tmp_path / "int8.onnx", Quantisation(), iter([noise(8)]))
    assert "".join(capfd.readouterr()) == ""
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert not list(recwarn)
    logging.getLogger("afterwards").warning("heard")
    assert "heard" in caplog.text


def test_a_network_without_finite_logits_is_refused() -> None:
    broken, sound = np.full((2, 3), np.nan), np.ones((2, 3))
    for exported, original in ((broken, sound), (broken, broken), (sound, broken)):
        with pytest.raises(DistilleryError, match="off by nan"):
            check_same(exported, original)


def test_the_allowed_difference_grows_with_the_logits() -> None:
    small, large = np.array([[0.5, -0.1]]), np.array([[50.0, -0.1]])
    check_same(small + 0.9e-4, small)
    check_same(large + 49e-4, large)
    for logits, difference in ((small, 1.1e-4), (large, 51e-4)):
        with pytest.raises(DistilleryError, match=r"another opset"):
            check_same(logits + difference, logits)

"""Every model of models.json against the numbers that RepDistiller's code gives for it."""

from __future__ import annotations

import copy
import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from distillery.models.base import Classifier, Outputs
from distillery.models.registry import build
from distillery.models.spec import describe

IMAGE_SIZE = 32
EVAL_RTOL = 1e-5
# batch statistics of two images amplify float32 noise; the reference itself is off by up to 3e-5
TRAIN_RTOL = 1e-4
DOUBLE_RTOL = 1e-9


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    path = Path(metafunc.config.getoption("--golden-dir")) / "models.json"
    if not path.is_file():
        arguments = [pytest.param(None, marks=pytest.mark.skip(reason=f"{path} is not there"))]
    else:
        models = json.loads(path.read_text())["models"]
        arguments = [pytest.param(golden, id=name) for name, golden in models.items()]
    metafunc.parametrize("golden", arguments, scope="module")


@pytest.fixture(scope="module")
def model(golden: dict) -> Classifier:
    """The network with the weights and buffers that README.md's rule gives, in eval mode."""
    network = build(golden["name"], num_classes=golden["num_classes"])
    fill(network, golden["fill_gain"])
    return network.eval()


@pytest.fixture(scope="module")
def outputs(model: Classifier) -> Outputs:
    with torch.no_grad():
        return model(images(), features=True, preactivations=True)


def test_describe_gives_parameters_and_feature_shapes(golden: dict) -> None:
    spec = describe(golden["name"], golden["num_classes"], 3, IMAGE_SIZE)
    assert spec.parameters == golden["params"]
    assert spec.embedding_dim == golden["embedding_dim"]
    assert [list(shape) for shape in spec.feature_shapes] == [
        shape[1:] for shape in golden["feat_shapes"][:-1]
    ]


def test_flops_are_those_of_the_reference(golden: dict) -> None:
    with torch.device("meta"), torch.no_grad(), FlopCounterMode(display=False) as counter:
        network = build(golden["name"], num_classes=golden["num_classes"]).eval()
        network(torch.empty(1, 3, IMAGE_SIZE, IMAGE_SIZE))
    assert counter.get_total_flops() == golden["flops_forward_1x3x32x32"]


def test_state_dict_has_the_reference_keys_in_order(golden: dict, model: Classifier) -> None:
    found = [[key, list(value.shape)] for key, value in model.state_dict().items()]
    assert found == golden["state_dict"]
    trainable = sum(p.numel() for p in model.parameters() if p.requires_grad)
    assert trainable == golden["params_trainable"]


def test_fill_gives_the_reference_weights(golden: dict, model: Classifier) -> None:
    floats = [value.double() for value in model.state_dict().values() if value.is_floating_point()]
    assert_near(sum(v.sum().item() for v in floats), golden["fill_checksum_sum"], 1e-9)
    assert_near(sum(v.abs().sum().item() for v in floats), golden["fill_checksum_abssum"], 1e-9)


def test_map_shapes_are_those_of_the_reference(golden: dict, outputs: Outputs) -> None:
    assert [list(m.shape) for m in features(outputs)] == golden["feat_shapes"]
    assert [list(m.shape) for m in preactivations(outputs)] == golden["feat_shapes_preact"]


def test_maps_relate_to_their_preactivations_as_in_the_reference(
    golden: dict, outputs: Outputs
) -> None:
    pairs = list(zip(features(outputs), preactivations(outputs), strict=True))
    assert [not torch.equal(f, p) for f, p in pairs] == golden["preact_differs_from_feat"]
    assert [torch.equal(f, p.relu()) for f, p in pairs] == golden["preact_relu_equals_feat"]


def test_eval_forward_in_float32(golden: dict, outputs: Outputs) -> None:
    check_forward(golden, outputs, EVAL_RTOL)


def test_eval_forward_in_float64(golden: dict, model: Classifier) -> None:
    with torch.no_grad():
        double = copy.deepcopy(model).double()
        outputs = double(images().double(), features=True, preactivations=True)
    check_forward(golden, outputs, DOUBLE_RTOL)


def test_train_mode_logits(golden: dict, model: Classifier) -> None:
    with torch.no_grad():
        logits = copy.deepcopy(model).train()(images()).logits
    check(logits, golden["logits_train_mode"], TRAIN_RTOL)


def check_forward(golden: dict, outputs: Outputs, rtol: float) -> None:
    check(outputs.logits, golden["logits"], rtol)
    assert outputs.logits.argmax(1).tolist() == golden["logits"]["argmax"]
    second = outputs.logits[1, :5].double().numpy()
    scale = outputs.logits.abs().max().item()
    expected = np.array(golden["logits"]["sample1_first5"])
    np.testing.assert_allclose(second, expected, rtol=0, atol=rtol * scale)
    for found, expected in zip(features(outputs), golden["feats"], strict=True):
        check(found, expected, rtol)
    for found, expected in zip(preactivations(outputs), golden["feats_preact"], strict=True):
        check(found, expected, rtol)


def check(found: Tensor, expected: dict, rtol: float) -> None:
    """Compare sums relative to the sum of magnitudes, entries relative to the largest one."""
    values = found.double().flatten()
    assert_near(values.abs().sum().item(), expected["abssum"], rtol)
    assert values.sum().item() == pytest.approx(
        expected["sum"], rel=0, abs=rtol * expected["abssum"]
    )
    np.testing.assert_allclose(
        values[:5].numpy(), expected["first5"], rtol=0, atol=rtol * values.abs().max().item()
    )


def assert_near(found: float, expected: float, rtol: float) -> None:
    assert found == pytest.approx(expected, rel=rtol)


def features(outputs: Outputs) -> list[Tensor]:
    """The list that the reference returns for is_feat=True."""
    return [*outputs.features, outputs.embedding]


def preactivations(outputs: Outputs) -> list[Tensor]:
    """The list that the reference returns for is_feat=True, preact=True."""
    return [*outputs.preactivations, outputs.embedding]


@cache
def images() -> Tensor:
    draw = np.random.default_rng(7).standard_normal((2, 3, IMAGE_SIZE, IMAGE_SIZE))
    return torch.from_numpy(draw.astype(np.float32))


def fill(network: Classifier, gain: float) -> None:
    state = network.state_dict()
    for index, (key, value) in enumerate(state.items()):
        state[key] = filled(key, tuple(value.shape), index, gain)
    network.load_state_dict(state)


def filled(key: str, shape: tuple[int, ...], index: int, gain: float) -> Tensor:
    """The entry of a state dict at ``index``, by the rule of README.md."""
    kind = key.rpartition(".")[2]
    if kind == "num_batches_tracked":
        return torch.tensor(0)
    z = np.random.default_rng(index).standard_normal(shape)
    match kind, len(shape):
        case (("running_mean" | "bias"), _):
            z = 0.1 * z
        case "running_var", _:
            z = 1 + 0.1 * np.abs(z)
        case "weight", 1:
            z = 1 + 0.1 * z
        case _:
            z = z * np.sqrt(gain / np.prod(shape[1:]))
    return torch.from_numpy(z.astype(np.float32))

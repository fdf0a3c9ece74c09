"""Foreign weights are read in the forms that trainers write, and believed only if they can be."""

from __future__ import annotations

import argparse
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from distillery.core.errors import UserError
from distillery.models import registry
from distillery.models.base import Classifier
from distillery.models.weights import save_network
from distillery.training import foreign

CLASSES = tuple("abcdefghij")


def network(seed: int = 0) -> Classifier:
    torch.manual_seed(seed)
    return registry.build("resnet8", num_classes=10, in_channels=1)


def weights(prefix: str = "", seed: int = 0) -> dict[str, Tensor]:
    return {prefix + name: value for name, value in network(seed).state_dict().items()}


def loaded(file: Path, **options: Any) -> Classifier:
    found = network(seed=1)
    foreign.load_into(found, foreign.read(file), file, **options)
    return found


def assert_same(found: Classifier, expected: dict[str, Tensor]) -> None:
    state = found.state_dict()
    assert state.keys() == expected.keys()
    assert all(torch.equal(state[name], expected[name]) for name in state)


WRITTEN: dict[str, Callable[[], Any]] = {
    "RepDistiller's last": lambda: {"opt": argparse.Namespace(lr=0.05), "model": weights()},
    "a NumPy number": lambda: {"model": weights(), "best_acc": np.float64(70.1)},
    "a NumPy array of numbers": lambda: {"model": weights(), "accs": [np.float32(1), np.int64(2)]},
    "mdistiller's": lambda: {"model": weights("module.student."), "best_acc": torch.tensor(3.0)},
    "net": lambda: {"net": weights(), "acc": 91.2},
    "model_state_dict": lambda: {"model_state_dict": weights(), "epoch": 5},
    "Lightning": lambda: {"state_dict": weights("model."), "epoch": 3},
    "torch.compile": lambda: weights("_orig_mod."),
    "compiled and parallel": lambda: {"state_dict": weights("module._orig_mod.")},
    "half precision": lambda: network().half().state_dict(),
}


@pytest.mark.parametrize("content", WRITTEN.values(), ids=WRITTEN.keys())
def test_what_trainers_write_is_read(tmp_path: Path, content: Callable[[], Any]) -> None:
    file = tmp_path / "w.pth"
    written = content()
    torch.save(written, file)
    expected = weights()
    if written.get("conv1.weight", torch.zeros(1)).dtype == torch.float16:
        expected = {name: value.half().to(value.dtype) for name, value in expected.items()}
    assert_same(loaded(file), expected)


def test_counters_of_batches_may_be_missing(tmp_path: Path) -> None:
    file = tmp_path / "w.pth"
    kept = {name: value for name, value in weights().items() if "num_batches" not in name}
    torch.save(kept, file)
    assert_same(loaded(file), weights())


def test_a_network_of_our_own_is_read_with_its_classes(tmp_path: Path) -> None:
    file = tmp_path / "model.safetensors"
    save_network(network(), file, CLASSES)
    assert_same(loaded(file), weights())
    assert foreign.read(file).classes == CLASSES


def test_two_networks_in_one_file_are_told_apart_by_nobody(tmp_path: Path) -> None:
    file = tmp_path / "w.pth"
    torch.save({**weights("student."), **weights("teacher.", seed=2)}, file)
    with pytest.raises(UserError, match=r"several such networks, below 'student\.', 'teacher\.'"):
        loaded(file)


def test_a_container_that_is_not_known_is_named(tmp_path: Path) -> None:
    file = tmp_path / "w.pth"
    torch.save({"generator": weights(), "epoch": 1}, file)
    with pytest.raises(UserError, match=r"holds no weights .*found the keys generator, epoch"):
        loaded(file)


def test_a_new_head_stays_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "w.pth"
    torch.save(registry.build("resnet8", num_classes=5, in_channels=1).state_dict(), file)
    with pytest.raises(UserError, match=r"'fc.weight' has shape .* give it a `new_head`"):
        loaded(file)
    found, new = loaded(file, new_head=True), network(seed=1)
    assert torch.equal(found.head.weight, new.head.weight)
    assert not torch.equal(found.state_dict()["conv1.weight"], new.state_dict()["conv1.weight"])


def _with(name: str, change: Callable[[Tensor], Tensor]) -> dict[str, Tensor]:
    changed = weights()
    changed[name] = change(changed[name].clone())
    return changed


def _first_is(value: float) -> Callable[[Tensor], Tensor]:
    def change(tensor: Tensor) -> Tensor:
        tensor.view(-1)[0] = value
        return tensor

    return change


IMPROPER = {
    "NaN": ("fc.weight", _first_is(float("nan")), "holds NaN"),
    "infinite": ("conv1.weight", _first_is(float("-inf")), "holds an infinite value"),
    "variance": ("bn1.running_var", _first_is(-1.0), "holds a negative variance"),
    "integers": ("fc.bias", Tensor.int, "is of type int32, which is no real number"),
    "answers": ("fc.bias", Tensor.bool, "is of type bool, which is no real number"),
    "complex": ("fc.bias", lambda each: each.to(torch.complex64), "is of type complex64"),
    "counter": ("bn1.num_batches_tracked", Tensor.float, "is of type float32, which is no counter"),
}


@pytest.mark.parametrize(("name", "change", "why"), IMPROPER.values(), ids=IMPROPER.keys())
def test_weights_that_no_network_has_are_refused_by_name(
    tmp_path: Path, name: str, change: Callable[[Tensor], Tensor], why: str
) -> None:
    file = tmp_path / "w.pth"
    torch.save({"model": _with(name, change)}, file)
    with pytest.raises(UserError, match=re.escape(f"'{name}' {why}")) as error:
        loaded(file)
    assert str(error.value).startswith(str(file))
    assert "\n" not in str(error.value)


def test_a_flipped_bit_is_found_and_its_tensor_named(tmp_path: Path) -> None:
    """The lowest bit of a weight gives a plausible network: the archive's checksum tells."""
    file = tmp_path / "w.pth"
    content = {"epoch": 3, "model": weights()}
    torch.save(content, file)
    for number, name in ((0, "conv1.weight"), (3, "bn1.running_mean")):
        damaged = bytearray(file.read_bytes())
        with zipfile.ZipFile(file) as archive:
            (entry,) = [
                each for each in archive.infolist() if each.filename.endswith(f"data/{number}")
            ]
        # Behind the local header, whose length the archive pads.
        stored = archive_place(bytes(damaged), entry)
        damaged[stored] ^= 1
        broken = tmp_path / f"{number}.pth"
        broken.write_bytes(damaged)
        with pytest.raises(UserError, match=f"damaged: '{name}' does not have the checksum"):
            foreign.read(broken)


def archive_place(content: bytes, entry: zipfile.ZipInfo) -> int:
    start = entry.header_offset
    name, extra = (
        int.from_bytes(content[start + at : start + at + 2], "little") for at in (26, 28)
    )
    return start + 30 + name + extra


@pytest.mark.parametrize(
    "names",
    [
        {"classes": list("ba")},
        {"names": {0: "b", 1: "a"}},
        {"class_to_idx": {"b": 0, "a": 1}},
        {"class_names": ("b", "a")},
    ],
)
def test_classes_in_another_order_are_refused(tmp_path: Path, names: dict[str, Any]) -> None:
    file = tmp_path / "w.pth"
    torch.save({"model": weights(), **names}, file)
    found = foreign.read(file).classes
    assert found == ("b", "a")
    foreign.compare_classes(found, ["b", "a"], file)
    foreign.compare_classes(found, ["other", "names"], file)
    foreign.compare_classes(None, ["a", "b"], file)
    with pytest.raises(
        UserError, match=r"w\.pth: its classes are in another order: class 0 is 'b'"
    ):
        foreign.compare_classes(found, ["a", "b"], file)

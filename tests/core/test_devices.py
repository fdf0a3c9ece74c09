"""Leases of devices. The devices are names alone, so that no accelerator is needed."""

from __future__ import annotations

import os
import signal
import time
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest
import torch
from processes import FORKED, wait_for

from distillery.core import devices
from distillery.core.devices import lease, lease_several
from distillery.core.errors import UserError


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "_POLL_SECONDS", 0.01)


def _hold(folder: Path, identities: list[str], name: str, seconds: float) -> None:
    """Hold a device for a while, and note when one holder is not alone."""
    devices._POLL_SECONDS = 0.01
    with lease(identities, folder / "locks") as number:
        holder = folder / f"device-{number}"
        try:
            holder.touch(exist_ok=False)
        except FileExistsError:
            (folder / "collision").touch()
        (folder / f"used-{holder.name}").touch()
        with (folder / "order").open("a") as order:
            order.write(f"{name} ")
        time.sleep(seconds)
        holder.unlink()


def start(folder: Path, identities: list[str], name: str, seconds: float) -> BaseProcess:
    process = FORKED.Process(target=_hold, args=(folder, identities, name, seconds))
    process.start()
    return process


def order(folder: Path) -> list[str]:
    path = folder / "order"
    return path.read_text().split() if path.exists() else []


def test_four_jobs_on_one_device_run_one_after_the_other(tmp_path: Path) -> None:
    jobs = [start(tmp_path, ["a"], str(number), 0.1) for number in range(4)]
    for job in jobs:
        job.join(30)
        assert job.exitcode == 0
    assert sorted(order(tmp_path)) == ["0", "1", "2", "3"]
    assert not (tmp_path / "collision").exists()


def test_jobs_share_two_devices_without_meeting(tmp_path: Path) -> None:
    started = time.monotonic()
    jobs = [start(tmp_path, ["a", "b"], str(number), 0.3) for number in range(4)]
    for job in jobs:
        job.join(30)
        assert job.exitcode == 0
    assert {path.name for path in tmp_path.glob("used-*")} == {"used-device-0", "used-device-1"}
    assert time.monotonic() - started >= 0.6
    assert not (tmp_path / "collision").exists()


def test_a_killed_holder_frees_its_device(tmp_path: Path) -> None:
    job = start(tmp_path, ["a"], "0", 60)
    wait_for(lambda: order(tmp_path), "the holder")
    with pytest.raises(TimeoutError, match="no free device among a"):
        lease(["a"], tmp_path / "locks", patience=0.1).__enter__()
    assert job.pid
    os.kill(job.pid, signal.SIGKILL)
    job.join(30)
    with lease(["a"], tmp_path / "locks", patience=0.1) as number:
        assert number == 0


def test_patience_ends_and_a_free_device_needs_none(tmp_path: Path) -> None:
    with lease(["a", "b"], tmp_path, patience=0) as first:
        with lease(["a", "b"], tmp_path, patience=0) as second:
            assert (first, second) == (0, 1)
            started = time.monotonic()
            with (
                pytest.raises(TimeoutError, match="no free device among a, b"),
                lease(["a", "b"], tmp_path, patience=0.2),
            ):
                pass
            assert 0.2 <= time.monotonic() - started < 1
        with lease(["a", "b"], tmp_path, patience=0) as again:
            assert again == 1


def test_an_error_frees_the_device(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="work"), lease(["a"], tmp_path):
        raise ValueError("work")
    with lease(["a"], tmp_path, patience=0):
        pass


def test_several_devices_are_leased_together_or_not_at_all(tmp_path: Path) -> None:
    with lease(["a"], tmp_path), lease_several(["a", "b", "c"], 2, tmp_path) as names:
        assert names == ["b", "c"]
    with pytest.raises(UserError, match="4 processes need a device each; 3 are visible"):
        lease_several(["a", "b", "c"], 4, tmp_path).__enter__()


def _hold_several(folder: Path) -> None:
    devices._POLL_SECONDS = 0.001
    with lease_several(["a", "b"], 2, folder):
        time.sleep(0.01)


def test_runs_that_want_several_devices_do_not_wait_for_each_other_for_ever(
    tmp_path: Path,
) -> None:
    with lease(["a"], tmp_path):
        jobs = [FORKED.Process(target=_hold_several, args=(tmp_path,)) for _ in range(5)]
        for job in jobs:
            job.start()
        # One of them holds the other device; whoever got this one now would wait for that.
        wait_for(lambda: not is_free("b", tmp_path), "a holder")
        time.sleep(0.2)
    for job in jobs:
        job.join(10)
        ended = job.exitcode
        job.kill()
        assert ended == 0


def is_free(identity: str, folder: Path) -> bool:
    try:
        with lease([identity], folder, patience=0):
            return True
    except TimeoutError:
        return False


def test_names_of_devices_are_read_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3, MIG-GPU-5/1/0")
    assert devices._visible_ids() == ["3", "MIG-GPU-5/1/0"]
    with lease(["MIG-GPU-5/1/0"], tmp_path, patience=0) as number:
        assert number == 0


@pytest.fixture
def two_devices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make this process believe in two devices, and return the folder of their locks."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "a,b")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(devices, "_lock_folder", lambda: tmp_path)
    monkeypatch.setattr(devices, "_held", [])
    return tmp_path


def test_lanes_share_the_device_that_their_parent_holds(
    two_devices: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = devices.lease_for_lanes()
    assert shared["CUDA_VISIBLE_DEVICES"] == "a"
    assert not is_free("a", two_devices)
    # Another job takes the other device.
    assert devices.lease_for_lanes()["CUDA_VISIBLE_DEVICES"] == "b"
    # In a child: nothing to wait for, though both are taken.
    for name, value in shared.items():
        monkeypatch.setenv(name, value)
    assert [devices.lease_one() for _ in range(3)] == [0, 0, 0]


def test_lanes_on_a_machine_without_accelerators_lease_nothing(
    two_devices: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert devices.lease_for_lanes() == {}
    assert is_free("a", two_devices)


def test_torch_computes_the_same_bits_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    torch.use_deterministic_algorithms(False)
    devices.device_for_inference({})
    assert torch.are_deterministic_algorithms_enabled()
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
    assert not torch.utils.deterministic.fill_uninitialized_memory

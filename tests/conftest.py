from functools import partial
from pathlib import Path

import pytest
import torch
from called import Distillery, call
from hypothesis import settings
from project import Project

# Sums depend on the number of threads in their last digits, and so would comparisons.
torch.set_num_threads(1)
# A busy machine is no failure.
settings.register_profile("distillery", deadline=None)
settings.load_profile("distillery")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--golden-dir",
        default=str(Path(__file__).parent / "golden"),
        help="folder with losses.json, losses.npz and models.json",
    )
    parser.addoption(
        "--tries", type=float, default=1, help="share of the full counts of tests/faults"
    )
    parser.addoption(
        "--counts", type=Path, help="JSON file in which campaigns of tests/faults note their counts"
    )


@pytest.fixture(autouse=True)
def _only_the_tests_own_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DISTILLERY_DATA", raising=False)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


@pytest.fixture
def distillery(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Distillery:
    """Run the command line in this process."""
    return partial(call, monkeypatch, capsys)


@pytest.fixture(scope="session")
def shared_project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project whose runs are kept for the whole test session; never damage them."""
    return Project(tmp_path_factory.mktemp("project"))

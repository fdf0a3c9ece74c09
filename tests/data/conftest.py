import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from distillery.data import looking, prepare, split
from distillery.data.settings import Source, Split
from distillery.runs.artifact import Artifact
from distillery.runs.produce import produce
from distillery.runs.run import Run

OUTSIDE = os.environ.get("DISTILLERY_DATA")


@pytest.fixture
def data_root(tmp_path: Path) -> Path:
    root = tmp_path / "data"
    (root / "raw").mkdir(parents=True)
    return root


@pytest.fixture
def prepared(data_root: Path) -> Callable[..., Artifact]:
    """Run the stage `prepare` with the given settings."""

    def make(root: Path = data_root, **settings: Any) -> Artifact:
        source = Source(**settings)
        values = source.prepared(looking.look(source, root).contents).model_dump(mode="json")
        run = Run("prepare", "prepared", source.source, values, {}, "code", outside=source.outside)
        return Artifact(produce(root, run, prepare.run))

    return make


@pytest.fixture
def divided(data_root: Path) -> Callable[..., Artifact]:
    """Run the stage `split` on a prepared data set."""

    def make(of: Artifact, **settings: Any) -> Artifact:
        values = Split(**settings).model_dump(mode="json")
        location = of.path.relative_to(data_root).as_posix()
        run = Run("split", "prepared", "split", values, {"prepared": location}, "code")
        return Artifact(produce(data_root, run, split.run))

    return make


@pytest.fixture
def outside(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Return the path of a real data file, or skip."""

    def find(name: str) -> Path:
        if not OUTSIDE:
            pytest.skip("DISTILLERY_DATA is not set")
        path = Path(OUTSIDE).resolve() / name
        if not path.exists():
            pytest.skip(f"DISTILLERY_DATA holds no {name}")
        monkeypatch.setenv("DISTILLERY_DATA", OUTSIDE)
        return path

    return find

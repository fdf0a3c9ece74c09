from __future__ import annotations

from pathlib import Path

import pytest
from campaign import Campaigns
from project import Project
from undisturbed import Undisturbed
from whole import Whole


@pytest.fixture
def campaign(request: pytest.FixtureRequest) -> Campaigns:
    return Campaigns(request.config.getoption("--tries"), request.config.getoption("--counts"))


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Whole:
    return Whole(tmp_path_factory.mktemp("whole"))


@pytest.fixture(scope="session")
def undisturbed(shared_project: Project) -> Undisturbed:
    return Undisturbed(shared_project)


@pytest.fixture
def copy(undisturbed: Undisturbed, tmp_path: Path) -> Project:
    return undisturbed.copy(tmp_path / "a folder")

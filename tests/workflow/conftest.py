from __future__ import annotations

from pathlib import Path

import pytest
from checkout import Checkout


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A checkout in which `snakemake` has run; tests leave it complete."""
    checkout = Checkout(tmp_path_factory.mktemp("checkout"))
    checkout.snakemake()
    return checkout


@pytest.fixture
def fresh(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path / "fresh checkout")

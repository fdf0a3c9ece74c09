"""Speed has not fallen behind what the documentation says: ratios alone, `pytest -m bench`."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.check import lasting_shortfalls
from benchmarks.rows import measures

DOCUMENT = Path(__file__).parents[2] / "docs/performance.md"
CHECKED = [name for name, module in measures().items() if getattr(module, "CHECKED", False)]


@pytest.mark.bench
@pytest.mark.parametrize("name", CHECKED)
def test_ratios_are_those_of_the_documentation(name: str) -> None:
    assert lasting_shortfalls(DOCUMENT, name, measures()[name].measure) == []

"""docs/reliability.md has what was counted last."""

from __future__ import annotations

import json

from table import COUNTS, PAGE, with_table


def test_the_page_has_the_counts() -> None:
    page = PAGE.read_text()
    assert with_table(page, json.loads(COUNTS.read_text())) == page

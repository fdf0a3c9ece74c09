"""Writes the table of docs/reliability.md from what the campaigns have counted.

After `pytest -m slow tests/faults --counts tests/faults/counts.json`.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

COUNTS = Path(__file__).with_name("counts.json")
PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"
_BEGIN, _END = "<!-- counts: written by tests/faults/table.py -->\n", "<!-- end of counts -->\n"


def table(campaigns: Mapping[str, Any]) -> str:
    """Return the campaigns as a table in Markdown, a row each."""
    rows = [
        "| campaign | tried | of what | what came of it | seconds | commit, date |",
        "|---|---|---|---|---|---|",
    ]
    for name, found in sorted(campaigns.items()):
        kinds: Counter[str] = Counter()
        outcomes: Counter[str] = Counter()
        for kind, counts in found["counts"].items():
            kinds[kind.partition(": ")[0]] += sum(counts.values())
            outcomes.update(counts)
        share = "" if found["share"] == 1 else f", at `--tries {found['share']:g}`"
        cells = [
            name,
            str(found["tried"]),
            _listed(kinds),
            _listed(outcomes),
            str(found["seconds"]),
            f"{found['commit']}, {found['date']}{share}",
        ]
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows) + "\n"


def with_table(page: str, campaigns: Mapping[str, Any]) -> str:
    """Return the page with the table in its place."""
    before, _, rest = page.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    return f"{before}{_BEGIN}\n{table(campaigns)}\n{_END}{after}"


def _listed(counts: Mapping[str, int]) -> str:
    return "; ".join(f"{number} {what}" for what, number in counts.items())


if __name__ == "__main__":
    PAGE.write_text(with_table(PAGE.read_text(), json.loads(COUNTS.read_text())))

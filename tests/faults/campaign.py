"""Campaigns: many faults of a kind, counted, and the counts kept for docs/reliability.md."""

from __future__ import annotations

import json
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from distillery.core.files import write_atomically

ROOT = Path(__file__).parents[2]


class Tally:
    """What was tried of one campaign, and what came of it."""

    def __init__(self, share: float) -> None:
        self._share = share
        self._counts: dict[str, Counter[str]] = {}

    def of(self, full: int) -> int:
        """Return how many to try where a full campaign tries ``full``; at least one."""
        return max(1, round(full * self._share))

    def count(self, kind: str, outcome: str) -> None:
        self._counts.setdefault(kind, Counter())[outcome] += 1

    @property
    def counts(self) -> dict[str, dict[str, int]]:
        """Kind -> outcome -> number."""
        return {kind: dict(sorted(found.items())) for kind, found in sorted(self._counts.items())}

    @property
    def total(self) -> int:
        return sum(found.total() for found in self._counts.values())


class Campaigns:
    """Runs campaigns, and notes those that pass in a file, if one is wanted."""

    def __init__(self, share: float, file: Path | None) -> None:
        self._share, self._file = share, file

    @contextmanager
    def __call__(self, name: str) -> Iterator[Tally]:
        """Yield the counts of a campaign; they are kept when the block ends without an error."""
        tally, began = Tally(self._share), time.monotonic()
        yield tally
        if self._file:
            done = json.loads(self._file.read_text()) if self._file.exists() else {}
            done[name] = {
                "counts": tally.counts,
                "tried": tally.total,
                "seconds": round(time.monotonic() - began),
                "share": self._share,
                "commit": _commit(),
                "date": datetime.now(UTC).date().isoformat(),
            }
            text = json.dumps(done, indent=2, sort_keys=True)
            write_atomically(self._file, f"{text}\n".encode())


def _commit() -> str:
    command = ["git", "rev-parse", "--short=10", "HEAD"]
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.strip()


def one_line(error: Exception) -> str:
    """Return what an error says, which has to be one line."""
    message = str(error)
    assert message
    assert len(message.splitlines()) == 1, message
    return message

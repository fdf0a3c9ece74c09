"""Progress: a bar with rate and time left on a terminal, plain lines in a log."""

from __future__ import annotations

import sys
from types import TracebackType

from tqdm import tqdm


class Progress:
    """Counts units of work; silent in logs except for the lines that the caller writes."""

    def __init__(self, unit: str, total: int, done: int = 0) -> None:
        self._bar = tqdm(
            total=total, initial=done, unit=f" {unit}", disable=not sys.stderr.isatty(), leave=False
        )

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.close()

    def advance(self) -> None:
        """Count one unit."""
        self._bar.update()

    def line(self, text: str) -> None:
        """Write one line to the log, above the bar if there is one."""
        self._bar.write(text, file=sys.stderr)
        sys.stderr.flush()

"""Lines, and below them one that tells the progress."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from typing import TextIO

# A log gets a progress line at most so often, in seconds.
_PERIOD = 30.0
_ERASE = "\r\x1b[K"


class Screen:
    """A terminal, whose last line is drawn anew, or a log, where it comes once in a while."""

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._is_terminal = stream.isatty()
        self._clock = clock
        self._due = clock() + _PERIOD
        # Of a terminal, what stands there; of a log, what was said last.
        self._progress = self._said = ""

    def line(self, text: str) -> None:
        """Write one line."""
        if self._is_terminal:
            self._stream.write(_ERASE)
        self._stream.write(f"{text}\n")
        self._draw()

    def progress(self, text: str) -> None:
        """Say how far it is; on a terminal in the place of what was said before."""
        if self._is_terminal:
            self._progress = text
            self._draw()
        elif self._clock() >= self._due and text != self._said:
            self._due, self._said = self._clock() + _PERIOD, text
            self.line(text)

    def clear(self) -> None:
        """Take the progress away."""
        if self._is_terminal and self._progress:
            self._stream.write(_ERASE)
            self._progress = ""
        self._stream.flush()

    def _draw(self) -> None:
        if self._progress:
            width = shutil.get_terminal_size().columns - 1
            self._stream.write(f"{_ERASE}{self._progress[:width]}")
        self._stream.flush()

"""Progress: a bar with rate and time left on a terminal, lines in a log, a note for others."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from pathlib import Path
from types import TracebackType

from tqdm import tqdm

from distillery.core.files import write_atomically
from distillery.core.settings import FrozenModel

NOTE = "progress.json"
_SECONDS_BETWEEN_NOTES = 1.0


class Noted(FrozenModel):
    """How far a process had come, as it noted for whoever wants to know."""

    unit: str
    """What is counted."""
    done: int
    """How many are done, those of earlier starts included."""
    total: int
    """How many there are."""
    seconds_each: float
    """How long each took since this start."""
    at: float
    """When this was noted, in seconds since the epoch of the clock."""

    @classmethod
    def read(cls, scratch: Path) -> Noted | None:
        """Return the last note in the scratch folder of a run; None if there is none."""
        try:
            return cls.model_validate_json((scratch / NOTE).read_bytes())
        except (OSError, ValueError):
            return None

    def seconds_left(self, now: float) -> float:
        """Return about how long the rest takes from ``now`` on."""
        return max(0.0, (self.total - self.done) * self.seconds_each - (now - self.at))


class Progress:
    """Counts units of work; silent in logs except for the lines that the caller writes."""

    def __init__(self, unit: str, total: int, done: int = 0, scratch: Path | None = None) -> None:
        """Begin to count.

        Args:
            unit: what is counted.
            total: how many there are.
            done: how many an earlier start has done.
            scratch: folder for the note of how far this has come; None: no note.
        """
        self._unit, self._total, self._done = unit, total, done
        self._begun_with, self._begun = done, time.monotonic()
        self._noted = -_SECONDS_BETWEEN_NOTES
        self._scratch = scratch
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
        self._done += 1
        if self._scratch and time.monotonic() - self._noted >= _SECONDS_BETWEEN_NOTES:
            self._note(self._scratch)

    def line(self, text: str) -> None:
        """Write one line to the log, above the bar if there is one."""
        self._bar.write(text, file=sys.stderr)
        sys.stderr.flush()

    def _note(self, scratch: Path) -> None:
        self._noted = time.monotonic()
        each = (self._noted - self._begun) / (self._done - self._begun_with)
        noted = Noted(
            unit=self._unit,
            done=self._done,
            total=self._total,
            seconds_each=each,
            at=time.time(),
        )
        # A full disk is for others to notice.
        with contextlib.suppress(OSError):
            write_atomically(scratch / NOTE, json.dumps(noted.model_dump()).encode())

"""`distillery ...` in the test's own process; processes.py has it in one of its own."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest


class Result(NamedTuple):
    status: int
    out: str
    error: str

    @property
    def line(self) -> str:
        """The only line of the error, as it must be."""
        (line,) = self.error.splitlines()
        return line.removeprefix("distillery: ")


Distillery = Callable[..., Result]


def call(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: Any
) -> Result:
    """Run a command, and return how it ends and what it alone prints."""
    from distillery import cli

    monkeypatch.setattr(sys, "argv", ["distillery", *map(str, arguments)])
    capsys.readouterr()
    with pytest.raises(SystemExit) as end:
        cli.main()
    out, error = capsys.readouterr()
    return Result(end.value.code or 0, out, error)  # type: ignore[arg-type]

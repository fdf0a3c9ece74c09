"""Snakemake's plugin of the quiet console; `profiles/default` switches it on.

What it shows comes from ``distillery.console``, which the Snakefile attaches: this package must not
import ``distillery`` itself, since the Snakefile decides whose sources are used.
"""

from __future__ import annotations

import difflib
import logging
import re
import sys
from pathlib import Path
from types import TracebackType
from typing import Protocol

from snakemake.logging import ColorizingTextHandler
from snakemake_interface_logger_plugins.base import LogHandlerBase


class View(Protocol):
    """What shows a workflow."""

    def show(self, record: logging.LogRecord) -> bool:
        """Show a record in an own way; False: Snakemake's way is right for it."""

    def notice(self, record: logging.LogRecord) -> None:
        """Take notice of a record that Snakemake shows in its own way."""

    def close(self) -> None:
        """Say how it ended."""


class LogHandler(LogHandlerBase):
    """Shows the workflow by a view, or by Snakemake's own where details were asked for."""

    def __post_init__(self) -> None:
        stream = sys.stdout if self.common_settings.stdout else sys.stderr
        self.own = ColorizingTextHandler(self.common_settings.nocolor, stream)
        self.view: View | None = None
        self.listener: View | None = None
        sys.excepthook = _without_traceback

    @property
    def is_detailed(self) -> bool:
        """Whether the call asks for Snakemake's own view."""
        asked = self.common_settings
        return bool(asked.verbose or asked.printshellcmds or asked.debug_dag or asked.quiet)

    def attach(self, view: View) -> bool:
        """Let a view show what comes from now on; False: details were asked for, it only hears."""
        if self.is_detailed:
            self.listener = view
        else:
            self.view = view
        return self.view is view

    def emit(self, record: logging.LogRecord) -> None:
        """Show a record."""
        try:
            if self.view is not None and self.view.show(record):
                return
            if self.listener is not None:
                self.listener.notice(record)
            line = of_params_file(record)
            if line:
                print(line, file=self.own.stream, flush=True)
                return
            self.own.setFormatter(self.formatter)
            self.own.emit(record)
        except Exception:
            self.handleError(record)

    def close(self) -> None:
        """Say how the workflow ended, and close."""
        if self.view is not None:
            self.view.close()
            self.view = None
        super().close()

    @property
    def writes_to_stream(self) -> bool:
        """Snakemake shows nothing beside it."""
        return True

    @property
    def writes_to_file(self) -> bool:
        """Snakemake's own log file stays as it is."""
        return False

    @property
    def has_filter(self) -> bool:
        """Snakemake's filter serves both views."""
        return False

    @property
    def has_formatter(self) -> bool:
        """Snakemake's formatter serves its own view."""
        return False

    @property
    def needs_rulegraph(self) -> bool:
        """It draws no graph."""
        return False


def of_params_file(record: logging.LogRecord) -> str | None:
    """Return what to say instead of the traceback when the file of ``--configfile`` is unreadable.

    Snakemake reads it itself, before the Snakefile; None if the record is about something else.
    """
    said = record.getMessage()
    if "load_configfile" not in said:
        return None
    *_, last = filter(None, map(str.strip, said.splitlines()))
    missing = re.fullmatch(r"FileNotFoundError: .*: '(.+)'", last)
    if not missing:
        return f"distillery: --configfile: {last}"
    file = Path(missing[1])
    names = [path.name for path in file.parent.glob("*.y*ml")]
    near = difflib.get_close_matches(file.name, names, n=1, cutoff=0.5)
    hint = f"; did you mean '{near[0]}'?" if near else ""
    return f"distillery: {file}: no such params file{hint}"


def _without_traceback(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """Say in one line that Ctrl-C was pressed before any job began."""
    if issubclass(kind, KeyboardInterrupt):
        print("stopped", file=sys.stderr)
    else:
        sys.__excepthook__(kind, error, trace)

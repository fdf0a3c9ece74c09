"""Errors a user can act on, each with the exit status that the command line ends with."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class DistilleryError(Exception):
    """An expected failure: shown as one line, without a traceback."""

    exit_code = 1


class UserError(DistilleryError):
    """Bad input: a wrong key, file or combination. Exit status 2."""

    exit_code = 2


class DamagedArtifact(DistilleryError):
    """An artifact on disk does not match its manifest. Exit status 3."""

    exit_code = 3


class Busy(DistilleryError):
    """Another process is writing the same run (EX_TEMPFAIL, so that a retry is sensible)."""

    exit_code = 75


class Interrupted(DistilleryError):
    """The run was asked to stop, has saved its state, and will resume when started again."""

    exit_code = 143


def unknown_name(kind: str, found: str, allowed: Iterable[str]) -> UserError:
    """Say that ``found`` is no ``kind``, name the nearest valid name, and list what is allowed."""
    names = sorted(allowed)
    close = difflib.get_close_matches(found, names, n=1, cutoff=0.5)
    hint = f"; did you mean '{close[0]}'?" if close else ""
    return UserError(f"unknown {kind} '{found}'{hint} (allowed: {', '.join(names)})")

"""Errors a user can act on, each with the exit status that the command line ends with."""

from __future__ import annotations

import difflib
import errno
import signal
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

# What the disk and the names of files, and not the code, are to blame for.
_ENVIRONMENT = {
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EROFS,
    errno.EACCES,
    errno.EPERM,
    errno.EIO,
    errno.ENAMETOOLONG,
    errno.ELOOP,
    errno.ENOTDIR,
    errno.EISDIR,
    errno.EMFILE,
    errno.ENFILE,
}

# Of torch on CPUs and accelerators, of C++ and of threads.
_TOO_LITTLE_MEMORY = (
    "can't allocate memory",
    "out of memory",
    "bad_alloc",
    "bad allocation",
    "can't start new thread",
)

# As a shell has it for a process that Ctrl-C ended.
_STOPPED = 130


class DistilleryError(Exception):
    """An expected failure: shown as one line, without a traceback.

    Names that it quotes may hold anything: line ends, and what commands a terminal, are escaped.
    """

    exit_code = 1

    def __init__(self, message: object = "") -> None:
        super().__init__(_visible(str(message)))


def _visible(text: str) -> str:
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode() for each in text
    )


class UserError(DistilleryError):
    """Bad input: a wrong key, file or combination. Exit status 2."""

    exit_code = 2


class NotMade(UserError):
    """A run that is to be read has not been made yet. Exit status 2."""


class UnknownName(UserError):
    """No such thing; the message has the nearest valid name, and lists what is allowed."""

    def __init__(self, kind: str, found: str, allowed: Iterable[str]) -> None:
        names = sorted(allowed)
        hint = self.hint(found, names)
        super().__init__(f"unknown {kind} '{found}'{hint} (allowed: {', '.join(names)})")

    @staticmethod
    def hint(found: str, names: Iterable[str] | Mapping[str, str]) -> str:
        """Return the question for the nearest of the names; empty if none is near.

        Args:
            found: what was typed.
            names: what may have been meant, or that -> what the question shows of it.
        """
        shown = names if isinstance(names, Mapping) else {name: name for name in names}
        close = _nearest(found, [*shown])
        return f"; did you mean '{shown[close]}'?" if close else ""


def _nearest(found: str, names: Sequence[str]) -> str | None:
    """Return the name that was most likely meant: in other case, as the end of one, or similar."""
    lower = {name.lower(): name for name in names}
    wanted = found.lower()
    ends = [name for each, name in lower.items() if wanted and each.endswith(f"_{wanted}")]
    close = difflib.get_close_matches(wanted, lower, n=1, cutoff=0.5)
    if wanted in lower:
        return lower[wanted]
    return ends[0] if ends else lower[close[0]] if close else None


class Diverged(DistilleryError):
    """A loss or a weight is no longer finite."""


class DamagedArtifact(DistilleryError):
    """An artifact on disk does not match its manifest. Exit status 3."""

    exit_code = 3


class Interrupted(DistilleryError):
    """The run was asked to stop, has saved its state, and will resume when started again."""

    exit_code = 143


@contextmanager
def exit_on_failure() -> Iterator[None]:
    """Make an expected failure, or Ctrl-C, end the process with one line and its own exit status.

    Raises:
        OSError: one that the code, and not the disk, is to blame for.
        RuntimeError: one that the code, and not too little memory, is to blame for.
    """
    try:
        yield
    except DistilleryError as error:
        print(f"distillery: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        # A terminal and a parent may both have sent it.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        print("distillery: stopped", file=sys.stderr)
        sys.exit(_STOPPED)
    except OSError as error:
        if error.errno not in _ENVIRONMENT:
            raise
        print(f"distillery: {error}", file=sys.stderr)
        sys.exit(DistilleryError.exit_code)
    except (MemoryError, RuntimeError) as error:
        if not _is_of_memory(error):
            raise
        why = str(error).strip().partition("\n")[0] or type(error).__name__
        print(
            f"distillery: too little memory ({why}): fewer runs at a time or smaller batches need "
            "less",
            file=sys.stderr,
        )
        sys.exit(DistilleryError.exit_code)


def _is_of_memory(error: Exception) -> bool:
    """Tell whether there is too little memory, for which libraries have no common kind of error."""
    said = str(error).lower()
    return isinstance(error, MemoryError) or any(words in said for words in _TOO_LITTLE_MEMORY)

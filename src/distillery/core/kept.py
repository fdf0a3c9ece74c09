"""Files that are kept for speed and never believed: what was damaged or swapped is as good as gone.

Each begins with a line that is the digest of what it is about and of what it holds.
"""

from __future__ import annotations

import contextlib
import hashlib
from pathlib import Path

from distillery.core.files import write_atomically


def seal(subject: str, content: bytes) -> str:
    """Return the digest of a content and of what it is about: none passes for another."""
    return hashlib.sha256(f"{subject}\0".encode(errors="surrogateescape") + content).hexdigest()


def keep(file: Path, subject: str, content: bytes) -> None:
    """Keep what was found out of ``subject``; where nothing can be written, nothing is kept."""
    with contextlib.suppress(OSError):
        write_atomically(file, seal(subject, content).encode() + b"\n" + content)


def kept(file: Path, subject: str) -> bytes | None:
    """Return what was kept of ``subject``; None if that is not there to the bit."""
    try:
        line, _, content = file.read_bytes().partition(b"\n")
    except OSError:
        return None
    return content if line == seal(subject, content).encode() else None

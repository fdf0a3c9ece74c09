"""Loads plans, which are kept on disk.

A plan depends on the params file and on the code alone, so it is kept under the digest of both:
methods and models need torch, whose import would otherwise slow down every call. What is kept is
never believed: a plan that is not what was written to the bit, or in which a run's key is not that
of its settings, inputs and code, is made anew.
"""

from __future__ import annotations

import contextlib
import hashlib
import sys
from pathlib import Path

from distillery.core.errors import UserError
from distillery.core.files import write_atomically
from distillery.planning.plan import Plan
from distillery.runs.fingerprint import source_digest

_CACHE = ".cache/plans"


def load(params: Path, data: Path = Path("data")) -> Plan:
    """Return the plan of a params file, from the disk when file and code are unchanged.

    Raises:
        UserError: the params file is wrong, in one line.
    """
    try:
        content = params.read_bytes()
    except OSError:
        raise UserError(f"{params}: no such params file") from None
    made_of = hashlib.sha256(
        f"{source_digest()}\0{sys.version}\0{params}\0".encode() + content
    ).hexdigest()
    file = data / _CACHE / f"{made_of[:32]}.json"
    return _kept(file, made_of) or _made(params, file, made_of)


def _kept(file: Path, made_of: str) -> Plan | None:
    """Return the plan in ``file``; None if there is none, or it is damaged."""
    try:
        seal, _, content = file.read_bytes().partition(b"\n")
        if seal != _seal(made_of, content):
            return None
        plan = Plan.model_validate_json(content)
    except (OSError, ValueError):
        return None
    return plan if plan.has_own_keys else None


def _made(params: Path, file: Path, made_of: str) -> Plan:
    from distillery.experiment import reading
    from distillery.planning.build import build

    plan = build(reading.load(params), params)
    content = plan.model_dump_json().encode()
    # Where nothing can be written, plans are made each time.
    with contextlib.suppress(OSError):
        write_atomically(file, _seal(made_of, content) + b"\n" + content)
    return plan


def _seal(made_of: str, content: bytes) -> bytes:
    """Return the digest of a plan and of what it was made of: none passes for another."""
    return hashlib.sha256(made_of.encode() + content).hexdigest().encode()

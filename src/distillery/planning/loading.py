"""Loads plans, which are kept on disk.

A plan depends on the params file and on the code alone, so it is kept under the digest of both:
methods and models need torch, whose import would otherwise slow down every call.
"""

from __future__ import annotations

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
    digest = hashlib.sha256(
        f"{source_digest()}\0{sys.version}\0{params}\0".encode() + content
    ).hexdigest()
    kept = data / _CACHE / f"{digest[:32]}.json"
    if kept.is_file():
        return Plan.model_validate_json(kept.read_bytes())
    from distillery.experiment import reading
    from distillery.planning.build import build

    plan = build(reading.load(params), params)
    write_atomically(kept, plan.model_dump_json().encode())
    return plan

"""Reads the runs of a report: of one that lies in a folder, or of one that was committed."""

from __future__ import annotations

import io
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from distillery.core.errors import UserError
from distillery.reporting.files import RUNS

if TYPE_CHECKING:
    import pandas as pd

# Ids may be digits.
_NAMES = ("table", "pair", "method", "variant", "title")


def read(side: str) -> pd.DataFrame:
    """Return the runs of a report, a row for each, as its ``tables/runs.csv`` lists them.

    Args:
        side: the folder of a report, or ``REVISION:FOLDER`` for one that Git knows.

    Raises:
        UserError: there is no report, or it has no such table.
    """
    import pandas as pd

    folder = Path(side)
    if folder.is_dir():
        file = folder / RUNS
        if not file.is_file():
            raise UserError(f"{folder}: no report, it has no {RUNS}")
        text = file.read_text(encoding="utf-8")
    elif ":" in side:
        text = _committed(*side.split(":", 1))
    else:
        raise UserError(
            f"{side}: neither the folder of a report, nor a params file, nor REVISION:FOLDER"
        )
    return pd.read_csv(io.StringIO(text), dtype=dict.fromkeys(_NAMES, str))


def _committed(revision: str, folder: str) -> str:
    """Return the table of runs of a committed report.

    Raises:
        UserError: Git does not know it.
    """
    name = f"{revision}:./{folder.rstrip('/')}/{RUNS}"
    done = subprocess.run(["git", "show", name], text=True, capture_output=True)
    if done.returncode:
        raise UserError(f"{revision}:{folder}: {done.stderr.strip().splitlines()[-1]}")
    return done.stdout

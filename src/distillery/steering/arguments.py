"""Arguments that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Params = Annotated[
    Path, typer.Option("--params", "-p", help="Params file of the experiment.", dir_okay=False)
]
Data = Annotated[Path, typer.Option(help="Data folder.", file_okay=False)]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
RunName = Annotated[
    str,
    typer.Argument(metavar="RUN", help="Name of a run, a part of it, or the beginning of its key."),
]
DEFAULT_PARAMS = Path("params/digits.yaml")
DEFAULT_DATA = Path("data")
DEFAULT_LOGS = Path("logs")

"""Tells what a command line is of, and converts it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from distillery.catalogue.converting import mdistiller, repdistiller
from distillery.catalogue.converting.converted import Converted
from distillery.core.errors import UserError

_EXPECTED = (
    "convert takes a command line with train_student.py (RepDistiller), or a .yaml file or a "
    "command line with --cfg FILE (mdistiller)"
)


def convert(words: Sequence[str]) -> Converted:
    """Convert what a researcher has typed so far.

    Args:
        words: the command line; python and the like may stand before its program.

    Raises:
        UserError: it is of neither project.
    """
    programs = (repdistiller.PROGRAM, repdistiller.TEACHERS)
    for place, word in enumerate(words):
        if word.endswith(programs):
            return repdistiller.convert(words[place:])
        if word == "--cfg" and place + 1 < len(words):
            changes = [other for other in words[place + 2 :] if other != "--resume"]
            return mdistiller.convert(Path(words[place + 1]), changes)
    if words and words[0].endswith((".yaml", ".yml")):
        return mdistiller.convert(Path(words[0]), words[1:])
    raise UserError(f"found '{' '.join(words)}'; {_EXPECTED}")

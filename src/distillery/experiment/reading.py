"""Reads a params file: YAML, then the types, then the checks. A mistake costs one line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from distillery.core.errors import UserError
from distillery.core.plain_yaml import read_yaml
from distillery.experiment.checks import check
from distillery.experiment.errors import ParamsError, first_problem, format_problem
from distillery.experiment.experiment import Experiment


def load(file: Path) -> Experiment:
    """Read and check a params file.

    Raises:
        UserError: one line naming the file, the key path, what was found and what is allowed.
    """
    content = read_yaml(file, "params file")
    if content is None:
        raise UserError(f"{file}: is empty")
    return checked(content, file)


def checked(content: Any, file: Path | str) -> Experiment:
    """Return the checked experiment of what a params file has; ``file`` is named in messages.

    Raises:
        UserError: as in ``load``.
    """
    try:
        experiment = Experiment.model_validate(content)
        check(experiment)
    except ValidationError as error:
        path, message, others = first_problem(error, content)
        more = f" (and {others} more)" if others else ""
        raise UserError(format_problem(file, path, f"{message}{more}")) from None
    except ParamsError as error:
        raise UserError(format_problem(file, error.path, str(error))) from None
    return experiment

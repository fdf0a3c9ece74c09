"""Reads a params file: YAML, then the types, then the checks. A mistake costs one line."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from distillery.core.errors import UserError
from distillery.experiment.checks import check
from distillery.experiment.errors import ParamsError, first_problem, format_problem
from distillery.experiment.experiment import Experiment


def load(file: Path) -> Experiment:
    """Read and check a params file.

    Raises:
        UserError: one line naming the file, the key path, what was found and what is allowed.
    """
    content = _read_yaml(file)
    if content is None:
        raise UserError(f"{file}: is empty")
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


def _read_yaml(file: Path) -> Any:
    try:
        # YAML 1.2: `no` is a word, 1e-4 a number, and a repeated key an error.
        return YAML(typ="safe", pure=True).load(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{file}: no such params file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{file}: cannot be read ({error})") from None
    except MarkedYAMLError as error:
        line = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
        raise UserError(f"{file}: {line}{_in_words(str(error.problem))}") from None
    except YAMLError as error:
        raise UserError(f"{file}: not YAML ({' '.join(str(error).split())})") from None


def _in_words(problem: str) -> str:
    """Return what the YAML reader says as whoever has written the file would."""
    repeated = re.search(r'duplicate key "(.*?)"', problem)
    if repeated:
        return f"the key '{repeated[1]}' is given twice"
    if "'\\t'" in problem:
        return "a tab; YAML is indented by spaces"
    if problem == "mapping values are not allowed here":
        return "a second ':' in the line; put text that has one in quotes"
    return problem

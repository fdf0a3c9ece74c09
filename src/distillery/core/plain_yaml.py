"""Reads YAML of the kind that people write: a regular file of bounded size, with finite numbers.

YAML 1.2: `no` is a word, 1e-4 a number, and a repeated key an error. Anchors and merge keys are
allowed as far as they do not unfold to more than a person could have written.
"""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, StreamMark, YAMLError
from ruamel.yaml.nodes import CollectionNode, Node

from distillery.core.errors import UserError
from distillery.core.files import read_regular

_MOST_VALUES = 100_000
_LARGEST = 2**63


def read_yaml(file: Path, kind: str = "file") -> Any:
    """Return what a YAML file has.

    Args:
        file: the file.
        kind: what to call it where it is missing.

    Raises:
        UserError: it cannot be read, or is not such YAML; one line that names the file.
    """
    text = _text(file, kind)
    try:
        yaml = YAML(typ="safe", pure=True)
        _check_size(yaml.compose(text), file)
        content = YAML(typ="safe", pure=True).load(text)
        _check_numbers(content, file, "")
    except MarkedYAMLError as error:
        line = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
        mistyped = _key_without_space(text, error.problem_mark)
        if mistyped:
            raise UserError(f"{file}: {mistyped}") from None
        raise UserError(f"{file}: {line}{_in_words(_one_line(error.problem))}") from None
    except YAMLError as error:
        raise UserError(f"{file}: not YAML ({_one_line(error)})") from None
    except RecursionError:
        raise UserError(f"{file}: nested too deeply") from None
    # Of numbers, dates and the like that look like some and are none.
    except (ValueError, TypeError, OverflowError) as error:
        raise UserError(f"{file}: not YAML ({_one_line(error)})") from None
    return content


def _text(file: Path, kind: str) -> str:
    try:
        return read_regular(file, kind).decode("utf-8")
    except UnicodeDecodeError as error:
        raise UserError(f"{file}: cannot be read ({error})") from None


def _check_size(root: Node | None, file: Path) -> None:
    """Refuse anchors that unfold to too many values, or contain themselves."""
    sizes: dict[int, int] = {}
    unfolding: set[int] = set()

    def size(node: Node) -> int:
        if id(node) in unfolding:
            raise UserError(f"{file}: line {node.start_mark.line + 1}: an anchor contains itself")
        if id(node) not in sizes:
            unfolding.add(id(node))
            sizes[id(node)] = 1 + sum(map(size, _children(node)))
            unfolding.remove(id(node))
        return sizes[id(node)]

    if root is not None and size(root) > _MOST_VALUES:
        raise UserError(f"{file}: it unfolds to more than {_MOST_VALUES:,} values")


def _children(node: Node) -> list[Node]:
    if not isinstance(node, CollectionNode):
        return []
    pairs = (each if isinstance(each, tuple) else (each,) for each in node.value)
    return [child for pair in pairs for child in pair]


def _check_numbers(value: Any, file: Path, path: str) -> None:
    """Refuse numbers that no setting can have."""
    if isinstance(value, dict):
        for key, inner in value.items():
            _check_numbers(inner, file, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            _check_numbers(inner, file, f"{path}[{number}]")
    elif isinstance(value, float) and not math.isfinite(value):
        raise UserError(f"{file}: {path}: found {value}; allowed are finite numbers")
    elif isinstance(value, int) and abs(value) >= _LARGEST:
        raise UserError(f"{file}: {path}: found a number of more than 18 digits")


def _one_line(text: object) -> str:
    return " ".join(str(text).split())


def _key_without_space(text: str, mark: StreamMark | None) -> str | None:
    """Name a key whose value follows without a space, which YAML takes for text that goes on.

    So it is the next line where something else was expected.
    """
    before = text.splitlines()[max(0, mark.line - 1) : mark.line + 1] if mark else []
    for number, line in enumerate(before, start=1 + max(0, mark.line - 1 if mark else 0)):
        key = re.match(r"\s*([\w-]+):[^\s:/]", line)
        if key:
            return f"line {number}: a space is missing behind '{key[1]}:'"
    return None


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

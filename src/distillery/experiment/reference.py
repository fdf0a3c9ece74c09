"""The reference of params files as a page, made from their JSON Schema."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from distillery.core.schema_words import allowed, definition, markdown_table, written

_PREFACE = """\
# Reference of params files

<!-- Made by `uv run distillery schema --markdown > docs/params-reference.md`. -->

Every key that a params file may have, with its default and what is allowed; an unknown key is an
error that names the nearest valid one. [Params files](params.md) says what they are for. The
options of methods are in [Methods](methods.md), those of protocols on
[their pages](evaluation/README.md), and what a source of data reads is in [Data sets](data.md).
*Required* marks a key without a default; where the default is `null` the text says what holds."""


def markdown(schema: Mapping[str, Any]) -> str:
    """Return the page: the keys of the file, then a section for each kind of mapping in it."""
    parts = [_PREFACE, "## The file", _table(schema)]
    for name in _sections(schema):
        found = schema["$defs"][name]
        parts += [f"## {name}", _one_line(found.get("description", "")), _table(found)]
    return "\n\n".join(filter(None, parts)) + "\n"


def _table(schema: Mapping[str, Any]) -> str:
    rows = []
    for key, field in schema["properties"].items():
        is_required = key in schema.get("required", ())
        default = "*required*" if is_required else f"`{_default(field)}`"
        rows.append((f"`{key}`", default, _linked(field), _one_line(field.get("description", ""))))
    return markdown_table(("key", "default", "allowed", "meaning"), rows)


def _default(field: Mapping[str, Any]) -> str:
    # Defaults of a mapping stand in the section of its kind.
    value = field.get("default", {} if _references(field) or field.get("type") == "object" else "")
    return "{}" if isinstance(value, Mapping) else written(value)


def _linked(field: Mapping[str, Any]) -> str:
    """Say what a value may be, with links to the sections of mappings."""
    said = allowed(_plain(field))
    for name in sorted({definition(found) for found in _references(field)}, key=len, reverse=True):
        said = said.replace(name, f"[{name}](#{name.lower()})", 1)
    return said


def _plain(field: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a field without what the page shows in other places."""
    return {key: value for key, value in field.items() if key != "properties"}


def _sections(schema: Mapping[str, Any]) -> list[str]:
    """Return the names of the mappings that a file may hold, in the order in which they are met."""
    met: dict[str, None] = {}
    waiting = [schema]
    while waiting:
        for field in waiting.pop(0)["properties"].values():
            for name in map(definition, _references(field)):
                if name not in met:
                    met[name] = None
                    waiting.append(schema["$defs"][name])
    return list(met)


def _references(field: Any) -> Iterator[str]:
    """Yield the definitions that a field leads to, those of single methods aside."""
    if isinstance(field, list):
        for item in field:
            yield from _references(item)
    elif isinstance(field, Mapping):
        for key, value in field.items():
            if key == "$ref":
                yield value
            elif key not in ("properties", "default"):
                yield from _references(value)


def _one_line(text: str) -> str:
    return " ".join(text.split())

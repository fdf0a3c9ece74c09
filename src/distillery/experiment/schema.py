"""The JSON Schema of params files, for editors."""

from __future__ import annotations

from typing import Any

from distillery.experiment.experiment import Experiment
from distillery.methods import registry as methods
from distillery.models import registry as models


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of params files, with the options of every method."""
    schema = Experiment.model_json_schema()
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    definitions = schema["$defs"]
    definitions["MethodEntry"]["properties"]["method"]["anyOf"][0]["enum"] = methods.names()
    for section, key in (("Teacher", "arch"), ("Pair", "student")):
        named: dict[str, Any] = definitions[section]["properties"][key]
        del named["type"]
        # Networks of libraries, and one's own.
        named["anyOf"] = [{"enum": models.names()}, {"type": "string", "pattern": "[/:]"}]
    entries, by_id = [], {}
    for name in methods.names():
        options = methods.load(name).Options.model_json_schema()
        definitions.update(options.pop("$defs", {}))
        then = {"properties": {"options": options}}
        named = {"properties": {"method": {"const": name}}, "required": ["method"]}
        entries.append({"if": named, "then": then})
        by_id[name] = {
            "allOf": [{"$ref": "#/$defs/MethodEntry"}],
            "if": {"not": {"required": ["method"]}},
            "then": then,
        }
    definitions["MethodEntry"]["allOf"] = entries
    schema["properties"]["methods"]["properties"] = by_id
    return schema

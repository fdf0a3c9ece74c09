"""The JSON Schema of params files."""

from __future__ import annotations

import json
from pathlib import Path

from distillery.experiment.schema import json_schema

COMMITTED = Path(__file__).parents[2] / "params" / "schema.json"


def test_the_schema_is_current_and_describes_the_options() -> None:
    schema = json_schema()
    assert json.loads(COMMITTED.read_text()) == schema, (
        "run `uv run distillery schema > params/schema.json`"
    )
    crd = schema["properties"]["methods"]["properties"]["crd"]["then"]["properties"]["options"]
    assert crd["properties"]["negatives"]["default"] == 16384
    assert "resnet8x4" in schema["$defs"]["Teacher"]["properties"]["arch"]["anyOf"][0]["enum"]

"""Follows docs/tutorial-share-and-steer.md to the letter, in a copy of the project."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from checkout import Checkout
from documented import Page
from PIL import Image

pytestmark = pytest.mark.slow

PAGE, USING = Page("tutorial-share-and-steer.md"), Page("using-a-student.md")
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Command -> what it prints, of all of the page's in their order, and of its Python."""
    checkout = Checkout(tmp_path_factory.mktemp("tutorial"))
    files = re.findall(r"as `([\w/.]+)`:\n\n```(?:python|yaml)\n(.*?)```", PAGE.text, re.DOTALL)
    assert len(files) == 2
    for name, content in files:
        (checkout.folder / name).write_text(content, encoding="utf-8")
    found: dict[str, Any] = {}
    sources = {"PYTHONPATH": str(checkout.folder / "src")}
    for kind, block in BLOCK.findall(PAGE.text):
        if not kind:
            for command in block.splitlines():
                found[command] = checkout.run(*command.split())
        elif "import distillery" in block:
            script = f"{block}\nprint(means.to_csv(), len(curve))"
            found["python"] = checkout.run(sys.executable, "-c", script, environment=sources)
    exported = "exports/digits-small-margin-s0.onnx"
    Image.fromarray(np.arange(400, dtype=np.uint8).reshape(20, 20)).save(
        checkout.folder / "photo.png"
    )
    found["predict"] = checkout.run("distillery", "predict", exported, "photo.png", "--json")
    ((_, block),) = [each for each in BLOCK.findall(USING.text) if each[0] == "python"]
    *lines, last = re.sub(r'exports/[^"]*', exported, block).splitlines()
    script = "\n".join([*lines, f"print({last})"])
    found["without"] = checkout.run(sys.executable, "-c", script)
    found["files"] = "\n".join(
        path.relative_to(checkout.folder).as_posix() for path in files_of(checkout.folder)
    )
    return found


def files_of(folder: Path) -> list[Path]:
    return [*folder.glob("exports/*"), *folder.glob("reports/*/*")]


def told(said: dict[str, str], beginning: str) -> str:
    return next(text for command, text in said.items() if command.startswith(beginning))


def test_only_the_new_method_is_run(said: dict[str, str]) -> None:
    status = told(said, "distillery status")
    assert re.match(r"margins: \d+ runs: \d+ done, \d+ waiting", status)
    assert re.search(r"train-student +1 +11\b", status)
    assert "method_margins" in told(said, "distillery show")
    assert told(said, "distillery log").splitlines()[-1].startswith("train 10/10 ")


def test_all_is_looked_into(said: dict[str, str]) -> None:
    assert re.search(r"weights.method +0.5 +2\b", told(said, "distillery compare"))
    assert "made again, with the same files" in told(said, "distillery redo")
    table = said["python"]
    assert "margin-strong" in table
    assert table.rstrip().endswith(" 10")


def test_what_is_shared_is_there(said: dict[str, str]) -> None:
    for name in (
        "reports/margins/index.html",
        "exports/digits-small-margin-s0.onnx",
        "exports/digits-small-margin-s0-int8.onnx",
        "exports/digits-small-margin-s0.pt2",
    ):
        assert name in said["files"].splitlines()


def test_an_exported_file_needs_none_of_this_package(said: dict[str, str]) -> None:
    """What the page says of its metadata gives the answer of `distillery predict`."""
    answer = json.loads(said["predict"])
    assert said["without"].strip() == answer["images"][0]["top"][0]["class"]

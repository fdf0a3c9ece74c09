from __future__ import annotations

from pathlib import Path

import pytest

from distillery.methods import registry
from distillery.runs import fingerprint as fp

STUDENT = "distillery.training.student"


def test_comments_docstrings_and_layout_do_not_count() -> None:
    plain = "def f(x):\n    return x + 1\n"
    dressed = '"""Module."""\n\n\ndef f( x ):\n    """Add one."""\n    # why\n    return x+1\n'
    assert fp.normalise(plain) == fp.normalise(dressed)


def test_code_counts() -> None:
    assert fp.normalise("x = 1") != fp.normalise("x = 2")


def test_a_function_with_nothing_but_a_docstring_stays_valid() -> None:
    assert fp.normalise('def f():\n    """Nothing."""\n') == fp.normalise("def f():\n    pass\n")


def test_type_checking_imports_are_ignored() -> None:
    guarded = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import os\n"
    assert "os" not in fp.normalise(guarded)


def test_a_student_depends_on_the_loop_but_on_no_method_by_itself() -> None:
    reached = fp.closure([STUDENT])
    assert "distillery.training.loop" in reached
    methods = {registry.module_of(name) for name in registry.names()}
    assert not methods & reached


def test_a_method_depends_on_no_other_stage() -> None:
    reached = fp.closure([registry.module_of("crd")])
    assert "distillery.methods.parts.heads" in reached
    assert not any("training" in name or "reporting" in name for name in reached)


def test_nothing_that_trains_depends_on_params_plan_or_reports() -> None:
    reached = fp.closure([STUDENT, "distillery.training.teacher", "distillery.embeddings.embed"])
    rooms = {name.split(".")[1] for name in reached if "." in name}
    assert {"training", "embeddings", "data", "core"} <= rooms
    assert not {"experiment", "planning", "reporting", "cli", "workflow"} & rooms


def test_source_digest_tells_any_two_states_of_the_package_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fp, "_SOURCE", tmp_path)
    (tmp_path / "room").mkdir()
    module, other = tmp_path / "room" / "module.py", tmp_path / "other.txt"
    module.write_text("x = 1\n")
    before = fp.source_digest()
    module.write_text("x = 1  # also comments\n")
    commented = fp.source_digest()
    other.touch()
    added = fp.source_digest()
    assert len({before, commented, added}) == 3
    of_room = fp.source_digest("room")
    other.unlink()
    assert fp.source_digest("room") == of_room
    (tmp_path / "room" / "module.pyc").touch()
    assert fp.source_digest() == commented

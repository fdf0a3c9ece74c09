from __future__ import annotations

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
    for name in ("params", "plan", "grid", "cli", "workflow", "reporting.collect"):
        assert f"distillery.{name}" not in reached


def test_source_digest_sees_this_package() -> None:
    assert fp.source_digest() == fp.source_digest()
    assert len(fp.source_digest()) == 64

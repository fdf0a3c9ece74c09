"""Names that modules declare are found without running the modules."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from distillery.core.declarations import declared


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Write a package of modules that must not be imported, and return its name."""

    def write(**modules: str) -> str:
        name = f"package_{tmp_path.name.replace('-', '_')}"
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").touch()
        for module, source in modules.items():
            path = tmp_path / name / f"{module}.py"
            path.write_text(f"{source}\nraise RuntimeError('imported')\n")
        return name

    monkeypatch.syspath_prepend(str(tmp_path))
    return write


def test_names_of_all_modules_in_order(package: Callable[..., str]) -> None:
    name = package(
        one="TABLE = {'b': undefined, 'a': 2}",
        two="TABLE: dict = {'c': 1}\nOTHER = {'d': 1}",
        none="",
    )
    found = declared(name, "TABLE")
    assert list(found.items()) == [("a", f"{name}.one"), ("b", f"{name}.one"), ("c", f"{name}.two")]


@pytest.mark.parametrize(
    "table", ["dict(a=1)", "{}", "{name: 1 for name in 'ab'}", "{1: 2}", "{'a': 1, **other}"]
)
def test_a_table_that_is_not_written_out_is_refused(
    package: Callable[..., str], table: str
) -> None:
    with pytest.raises(TypeError, match=r"TABLE in \w+.one must be a dict written out"):
        declared(package(one=f"TABLE = {table}"), "TABLE")


def test_two_modules_cannot_share_a_name(package: Callable[..., str]) -> None:
    with pytest.raises(TypeError, match=r"\.two and \w+\.one both define a"):
        declared(package(one="TABLE = {'a': 1}", two="TABLE = {'a': 1}"), "TABLE")

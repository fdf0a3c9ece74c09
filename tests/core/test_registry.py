"""Things are found by the names of files, and of folders that hold the right file."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from distillery.core import registry
from distillery.core.errors import UnknownName

PLAIN = "from animals.base import Animal\nclass {name}(Animal): pass\n"


@pytest.fixture
def animals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package of two animals, one in a file and one in a folder."""
    folder = tmp_path / "animals"
    (folder / "sea_lion").mkdir(parents=True)
    (folder / "helpers").mkdir()
    for each in (folder, folder / "sea_lion", folder / "helpers"):
        (each / "__init__.py").touch()
    (folder / "base.py").write_text("class Animal: pass\n")
    (folder / "wild_cat.py").write_text(PLAIN.format(name="Cat"))
    (folder / "sea_lion" / "animal.py").write_text(PLAIN.format(name="SeaLion"))
    monkeypatch.syspath_prepend(tmp_path)
    forget()
    yield folder
    forget()
    for module in [name for name in sys.modules if name.partition(".")[0] == "animals"]:
        del sys.modules[module]


def forget() -> None:
    registry.listing.cache_clear()
    registry._has_module.cache_clear()


def load(name: str) -> type:
    base = __import__("animals.base", fromlist=["Animal"]).Animal
    return registry.load_class("animals", "animal", name, base, ("base",))


def test_files_and_folders_are_found_without_importing_them(animals: Path) -> None:
    assert registry.module_names("animals", ("base",), "animal") == ["sea-lion", "wild-cat"]
    assert registry.module_names("animals", ("base",)) == ["wild-cat"]
    assert registry.module_of("animals", "animal", "sea-lion") == "animals.sea_lion.animal"
    assert registry.module_of("animals", "animal", "wild-cat") == "animals.wild_cat"
    assert not {"animals.wild_cat", "animals.sea_lion"} & set(sys.modules)


def test_the_class_of_a_name_is_the_one_that_its_module_defines(animals: Path) -> None:
    assert load("wild-cat").__name__ == "Cat"
    assert load("sea-lion").__module__ == "animals.sea_lion.animal"


@pytest.mark.parametrize("names", [[], ["Tiger", "Lion"]])
def test_a_module_must_define_one_class(animals: Path, names: list[str]) -> None:
    text = "from animals.wild_cat import Cat\n" + "".join(PLAIN.format(name=n) for n in names)
    (animals / "dog.py").write_text(text)
    forget()
    with pytest.raises(TypeError, match=rf"animals\.dog must define one Animal.*{len(names)}"):
        load("dog")


def test_unknown_names_are_told_the_nearest(animals: Path) -> None:
    with pytest.raises(UnknownName, match=r"unknown animal 'sea-lino'; did you mean 'sea-lion'\?"):
        load("sea-lino")

"""The documentation: every command on it can be called, every link leads somewhere."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
import typer
from documentation import PAGES, ROOT, Command, commands, headings, links, prose
from ruamel.yaml import YAML

from distillery.cli import app
from distillery.experiment import reading, reference
from distillery.experiment.schema import json_schema
from distillery.methods import registry as methods
from distillery.models import reference as models
from distillery.planning import loading

# Programs of others, which are called as their own documentation says.
ORDINARY = {
    *("pip", "uv", "git", "cd", "cp", "sha256sum"),
    *("mkdocs", "pdflatex", "nvidia-cuda-mps-control"),
}
# What pages write where a reader puts something of his own.
PLACEHOLDERS = {"N": "1", "SEED": "1", "NAME": "name", "FILE": "params/digits.yaml"}


def distillery(words: list[str]) -> None:
    """Parse a command as the program does, without running it."""
    group = typer.main.get_command(app)
    name, *rest = words
    if name.startswith("-"):
        return
    command = group.get_command(None, name)  # type: ignore[attr-defined]
    assert command is not None, f"distillery has no command {name}"
    if not rest or rest == ["--help"]:
        return
    command.make_context(name, rest)


def snakemake(words: list[str]) -> None:
    arguments = _snakemake().parse_args(words)
    rules = "".join(path.read_text() for path in (ROOT / "workflow" / "rules").glob("*.smk"))
    for target in arguments.targets:
        assert f"rule {target}:" in rules, target


def dvc(words: list[str]) -> None:
    from dvc.cli import parse_args

    # In a sentence, a command may stand without what it is about.
    has_options = any(word.startswith("-") for word in words)
    parse_args(words if has_options else [*words, "--help"])


def python(words: list[str]) -> None:
    if words[0].endswith(".py"):
        assert (ROOT / words[0]).is_file()
        return
    assert words[0] == "-m"
    assert importlib.util.find_spec(words[1]) is not None


def pytest_(words: list[str]) -> None:
    for word in words:
        if word.startswith("tests/"):
            # A reader of "Adding ..." may have made the file.
            assert Path(ROOT, word.partition("::")[0]).exists(), word


PARSERS: dict[str, Callable[[list[str]], None]] = {
    "distillery": distillery,
    "snakemake": snakemake,
    "dvc": dvc,
    "python": python,
    "pytest": pytest_,
}


@pytest.mark.parametrize("command", commands(), ids=str)
def test_every_command_on_the_pages_can_be_called(command: Command) -> None:
    program, *words = command.words
    text = prose(ROOT / command.page)
    for word in words:
        # A page may have its reader write the file, or use another one.
        if word.startswith(("params/", "profiles/")) and "X" not in word:
            assert Path(ROOT, word).exists() or word in text, f"{command.page}: {word}"
    words = [PLACEHOLDERS.get(word, word).replace("=N", "=1") for word in words]
    words = [word.removesuffix("...") for word in words if word not in ("...", "…")]
    if parse := PARSERS.get(program):
        assert _accepts(parse, words), command
    else:
        inside = Path(sys.executable).parent / program
        assert program in ORDINARY or (ROOT / program).is_file() or inside.is_file(), command


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_link_leads_to_a_file_and_a_heading(page: Path) -> None:
    for file, heading in links(page):
        target = (page.parent / file).resolve() if file else page
        assert target.is_file(), f"{page.name} links to {file}"
        if heading and target.suffix == ".md":
            assert heading in headings(target), f"{page.name} links to {file}#{heading}"


def test_generated_pages_are_current() -> None:
    made = {
        "params-reference.md": reference.markdown(json_schema()),
        "models.md": models.markdown() + "\n",
    }
    for name, text in made.items():
        assert (ROOT / "docs" / name).read_text(encoding="utf-8") == text, (
            f"make docs/{name} again, as its first lines say"
        )


def test_the_readme_counts_the_methods() -> None:
    found = re.search(r"\[(\d+)\]\(docs/methods.md\)", (ROOT / "README.md").read_text())
    assert found
    assert int(found[1]) == len(methods.names())


def test_the_experiment_of_the_tutorial_can_be_planned(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
    parts = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    content: dict[str, object] = {}
    for part in parts:
        content |= YAML(typ="safe").load(part)
    file = tmp_path / "mine.yaml"
    with file.open("w") as stream:
        YAML(typ="safe").dump(content, stream)
    assert set(reading.load(file).methods) == {"ce", "kd", "crd", "crd-kd"}
    planned = loading.load(file, tmp_path / "data")
    students = [run for run in planned.runs.values() if run.stage == "train-student"]
    # Four entries and two variants: the third is CRD itself.
    assert len(students) == 3 * (4 + 2)


@pytest.mark.slow
def test_the_site_can_be_built(tmp_path: Path) -> None:
    pytest.importorskip("mkdocs")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)],
        cwd=ROOT,
        text=True,
        capture_output=True,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "tutorial.html").is_file()
    assert (tmp_path / "repository" / "params" / "crd.yaml").is_file()


def _accepts(parse: Callable[[list[str]], None], words: list[str]) -> bool:
    """Tell whether a program takes these words; what is wrong stands in the output."""
    try:
        parse(words)
    except SystemExit as end:
        return not end.code
    return True


@cache
def _snakemake():  # type: ignore[no-untyped-def]
    from snakemake.cli import get_argument_parser

    return get_argument_parser()

"""Absurd YAML costs one line, and neither memory nor patience."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from project import refusal

from distillery.core.plain_yaml import read_yaml

LAUGHS = "a0: &a0 [lol]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 10)
)
MERGES = "a0: &a0 {k: v}\n" + "".join(
    f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 9)}]}}\n" for n in range(1, 10)
)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (LAUGHS, "it unfolds to more than 100,000 values"),
        (MERGES, "it unfolds to more than 100,000 values"),
        ("a: &a [*a]\n", "line 1: "),
        ("[" * 20_000, "nested too deeply"),
        ("training: {lr: .inf}\n", "training.lr: found inf; allowed are finite numbers"),
        ("weights: [1, -.inf]\n", "weights[1]: found -inf; allowed are finite numbers"),
        ("lr: .nan\n", "lr: found nan; allowed are finite numbers"),
        ("lr: 1e400\n", "lr: found inf; allowed are finite numbers"),
        (f"epochs: {'9' * 30}\n", "epochs: found a number of more than 18 digits"),
        (f"epochs: {'9' * 5000}\n", "not YAML ("),
        ("!!python/object/apply:os.system [ls]\n", "could not determine a constructor"),
        ("day: 2024-99-99\n", "not YAML (month must be in 1..12)"),
        ("\x00", "not YAML"),
        ('"\\ud83d\\ude00": 1\n', r"half a character in '\ud83d\ude00'; write it without"),
        ('name: "\\ud800"\n', r"name: half a character in '\ud800'; write it without escapes"),
    ],
)
def test_absurd_yaml_costs_one_line(content: str, message: str, tmp_path: Path) -> None:
    file = tmp_path / "x.yaml"
    file.write_text(content)
    said = refusal(read_yaml, file)
    assert said.startswith(f"{file}: ")
    assert message in said
    assert len(said) < 500


def test_anchors_that_people_write(tmp_path: Path) -> None:
    file = tmp_path / "x.yaml"
    file.write_text("a: &a {k: 1}\nb: {<<: *a, l: 2}\nc: [*a, *a]\n")
    found = read_yaml(file)
    assert found["b"] == {"k": 1, "l": 2}
    assert found["c"] == [{"k": 1}, {"k": 1}]


def test_what_is_no_regular_file(tmp_path: Path) -> None:
    """A pipe that nobody writes into would keep its reader waiting for ever."""
    pipe, folder, large = (tmp_path / name for name in ("pipe", "folder", "large"))
    os.mkfifo(pipe)
    folder.mkdir()
    with large.open("wb") as file:
        file.truncate(2**23)
    for path, message in (
        (pipe, "not a regular file"),
        (folder, "not a regular file"),
        (large, "larger than 4 MiB"),
        (tmp_path / "none", "no such params file"),
        (tmp_path / ("x" * 300), "cannot be read (File name too long)"),
    ):
        assert message in refusal(read_yaml, path, "params file")

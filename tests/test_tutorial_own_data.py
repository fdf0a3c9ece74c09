"""Follows docs/tutorial-own-data.md: the commands on a small folder of mixed images."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from checkout import WORKFLOW, copy
from documented import Page
from PIL import Image
from project import photos

PAGE = Page("tutorial-own-data.md")
COMMANDS = re.findall(r"```\nuv run (.*)\n```", PAGE.text)
FOUND = re.search(r"```\n(pets: .*?)```", PAGE.text, re.DOTALL)


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """Copy what a fresh clone has of the workflow, and put images of several kinds into it."""
    copy(tmp_path, (*WORKFLOW, "src"))
    pets = photos(tmp_path / "data" / "raw" / "pets", train=19, test=0)
    Image.new("RGBA", (20, 20), (0, 0, 0, 0)).save(pets / "cat" / "icon.png")
    (pets / "dog" / "old").mkdir()
    Image.new("L", (64, 48), 7).save(pets / "dog" / "old" / "grey.tif")
    (pets / "notes.txt").touch()
    return tmp_path


def run(command: str, folder: Path) -> str:
    """Run a command of the page as in an activated environment."""
    program, *arguments = shlex.split(command)
    done = subprocess.run(
        [str(Path(sys.executable).parent / program), *arguments],
        cwd=folder,
        text=True,
        capture_output=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_first_commands_print_what_the_page_says(clone: Path) -> None:
    init, plan, _ = COMMANDS
    said = run(init, clone)
    assert FOUND
    assert said.startswith(FOUND[1])
    assert said.splitlines()[-1].strip() == COMMANDS[2]
    planned = run(plan, clone)
    assert "note: methods.crd.options.negatives: 16 in place of 16384" in planned
    assert re.search(r"\d+ runs, 0 done", planned)


@pytest.mark.slow
def test_two_commands_lead_to_a_table(clone: Path) -> None:
    init, _, compute = COMMANDS
    run(init, clone)
    params = clone / "params" / "pets.yaml"
    # The same in less time.
    params.write_text(re.sub(r"epochs: \d+\n", "epochs: 2\n", params.read_text()))
    run(compute, clone)
    assert (clone / "reports" / "pets" / "index.html").is_file()
    table = (clone / "reports" / "pets" / "tables" / "main.csv").read_text()
    assert {"ce", "kd", "dkd", "crd"} <= {*re.split(r"[,\n]", table)}

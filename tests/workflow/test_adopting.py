"""What a user does after an update: sources change under a data folder that has runs."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from checkout import Checkout

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A checkout in which every run has been made."""
    checkout = Checkout(tmp_path_factory.mktemp("adopting"))
    checkout.run("distillery", "run", *to_do(checkout))
    assert to_do(checkout) == []
    return checkout


def to_do(checkout: Checkout) -> list[str]:
    plan = json.loads(checkout.run("distillery", "plan", "--json"))
    return [run["run"] for run in plan["runs"] if not run["done"]]


@contextmanager
def edited(checkout: Checkout, pattern: str, replacement: str, folder: str = "") -> Iterator[None]:
    """Replace a pattern in all sources, or in those below one folder, for a while."""
    originals: dict[Path, str] = {}
    for path in (checkout.folder / "src" / "distillery" / folder).rglob("*.py"):
        source = path.read_text(encoding="utf-8")
        changed = re.sub(pattern, replacement, source)
        if changed != source:
            originals[path] = source
            path.write_text(changed, encoding="utf-8")
    assert originals, f"nothing like {pattern} in the sources"
    try:
        yield
    finally:
        for path, source in originals.items():
            path.write_text(source, encoding="utf-8")


def test_a_new_setting_and_a_renamed_function_pass_the_check(checkout: Checkout) -> None:
    field = '    nesterov: bool = False\n    lookahead: bool = False\n    """New."""\n'
    with (
        edited(checkout, r"    nesterov: bool = False\n", field, "training"),
        edited(checkout, r"\bseed_for\b", "seed_of"),
    ):
        missing = to_do(checkout)
        assert {name.partition("/")[0] for name in missing} >= {"teachers", "students"}
        said = checkout.run("distillery", "adopt", "--check", "1")
        (collected,) = to_do(checkout)
        assert f"{len(missing) - 1} runs adopted" in said
        checkout.run("distillery", "run", collected)
        for name in missing:
            if name.startswith("students/"):
                manifest = json.loads(
                    (checkout.folder / "data" / name / "manifest.json").read_text()
                )
                assert manifest["settings"]["training"]["lookahead"] is False
                assert manifest["adopted_from"][0]["checked"] == {"of": 2, "checked": 1}
        checkout.run("distillery", "report")
        assert "adopted, checked with 1 of 2" in (
            checkout.folder / "reports" / "index.html"
        ).read_text(encoding="utf-8")
        known = checkout.manifests()
    # The code before the setting came cannot tell what the adopted runs mean, nor does it have to.
    assert to_do(checkout) == []
    assert "0 runs adopted" in checkout.run("distillery", "adopt")
    assert checkout.manifests() == known
    unwanted = checkout.run("distillery", "gc", "--remove")
    assert all(name in unwanted for name in missing)


def test_another_default_is_another_run(checkout: Checkout) -> None:
    before = checkout.manifests()
    with edited(
        checkout, r"momentum: float = Field\(default=0.9", "momentum: float = Field(default=0.8"
    ):
        missing = to_do(checkout)
        assert "0 runs adopted" in checkout.run("distillery", "adopt", "--check", "1")
        assert to_do(checkout) == missing
    assert checkout.manifests() == before


def test_another_loss_is_refused_with_run_file_and_both_numbers(checkout: Checkout) -> None:
    before = checkout.manifests()
    with edited(checkout, r"F\.cross_entropy\(", "1.5 * F.cross_entropy(", "training"):
        said = checkout.run("distillery", "adopt", "--check", "1", fails=True)
    assert "0 runs adopted" in said
    teacher = checkout.only("teachers", "-s0-").relative_to(checkout.folder)
    found = re.search(
        rf"train-teacher: not adopted: {teacher}: metrics.json: (\w+) is (\S+) and was (\S+)\n",
        said,
    )
    assert found, said
    metrics = json.loads((checkout.folder / teacher / "metrics.json").read_text())
    assert float(found[3]) == metrics[found[1]] != float(found[2])
    assert checkout.manifests() == before

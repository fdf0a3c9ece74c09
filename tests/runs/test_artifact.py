from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from toy_runs import make_run, write_value

from distillery.core.errors import DamagedArtifact, UserError
from distillery.runs.artifact import MANIFEST, Artifact, Finished, where
from distillery.runs.housekeeping import verify
from distillery.runs.produce import produce
from distillery.runs.run import Run


def test_missing_input_is_named(tmp_path: Path) -> None:
    run = make_run(inputs={"a": f"toys/x-{'0' * 16}"})
    with pytest.raises(UserError, match=r"toys/x-0+: this run has not been made"):
        produce(tmp_path, run, write_value)


@pytest.mark.parametrize("damage", ["flip", "truncate", "delete", "add"])
def test_damage_is_detected(tmp_path: Path, damage: str) -> None:
    path = produce(tmp_path, make_run(12345), write_value)
    file = path / "value.json"
    if damage == "flip":
        file.write_text("12346\n")
    elif damage == "truncate":
        file.write_text("1")
    elif damage == "delete":
        file.unlink()
    else:
        (path / "stranger").touch()
    assert len(Artifact(path).problems()) == 1
    if damage != "add":
        with pytest.raises(DamagedArtifact, match=r"value\.json.*delete the folder"):
            Artifact(path).file("value.json")


@pytest.mark.parametrize("content", ["", "{", "[]", '{"format": 1}', '{"format": 99}'])
def test_a_broken_manifest_is_refused(tmp_path: Path, content: str) -> None:
    path = produce(tmp_path, make_run(), write_value)
    (path / MANIFEST).write_text(content)
    with pytest.raises(DamagedArtifact, match=r"manifest\.json"):
        Artifact(path)


def test_a_manifest_of_another_run_is_refused(tmp_path: Path) -> None:
    first = produce(tmp_path, make_run(1), write_value)
    second = produce(tmp_path, make_run(2), write_value)
    (second / MANIFEST).write_bytes((first / MANIFEST).read_bytes())
    with pytest.raises(DamagedArtifact, match="not the manifest of this run"):
        Artifact(second)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("settings", {"value": 2}),
        ("inputs", {"a": f"toys/x-{'0' * 16}"}),
        ("code", "d"),
        ("stage", "other"),
        ("key", ""),
        ("key", "last"),
        ("slug", "other"),
        ("settings", None),
        ("inputs", []),
        ("record", None),
        ("adopted_from", {}),
        ("files", []),
        ("files", None),
        ("files", {"../../x": {"size": 1, "sha256": ""}}),
        ("files", {"/etc/passwd": {"size": 1, "sha256": ""}}),
        ("files", {"": {"size": 1, "sha256": ""}}),
        ("files", {"value.json": {"size": "1", "sha256": ""}}),
        ("files", {"value.json": 1}),
    ],
)
def test_a_manifest_is_held_against_its_own_key(tmp_path: Path, name: str, value: Any) -> None:
    path = produce(tmp_path, make_run(), write_value)
    manifest = json.loads((path / MANIFEST).read_text())
    wrong = manifest["key"][-1] if value == "last" else value
    (path / MANIFEST).write_text(json.dumps({**manifest, name: wrong}))
    with pytest.raises(DamagedArtifact, match=r"manifest\.json: .*delete the folder"):
        Artifact(path)
    checked, problems = verify(tmp_path)
    assert (checked, len(problems)) == (1, 1)


@pytest.mark.parametrize("content", ["[" * 100_000, '{"a": NaN}', "\ud800"])
def test_a_manifest_that_is_none_is_refused(tmp_path: Path, content: str) -> None:
    path = produce(tmp_path, make_run(), write_value)
    (path / MANIFEST).write_bytes(content.encode(errors="surrogatepass"))
    with pytest.raises(DamagedArtifact, match="delete the folder"):
        Artifact(path)


def _checked(checked: int, of: int) -> dict[str, Any]:
    return {"key": "k", "code": "c", "checked": {"checked": checked, "of": of}}


TRUSTED = {"key": "k", "code": "c", "checked": None}


@pytest.mark.parametrize(
    ("history", "text"),
    [
        ([], ""),
        ([TRUSTED], "adopted"),
        ([_checked(2, 5)], "adopted, checked with 2 of 5"),
        # The weakest link counts.
        ([_checked(2, 5), _checked(3, 30)], "adopted, checked with 3 of 30"),
        ([_checked(2, 5), TRUSTED], "adopted"),
    ],
)
def test_a_run_tells_how_it_was_adopted(
    tmp_path: Path, history: list[dict[str, Any]], text: str
) -> None:
    path = produce(tmp_path, make_run(), write_value)
    manifest = json.loads((path / MANIFEST).read_text())
    (path / MANIFEST).write_text(json.dumps({**manifest, "adopted_from": history}))
    assert Artifact(path).adoption == text


def test_a_run_is_found_by_its_key_whatever_it_is_called(tmp_path: Path) -> None:
    path = produce(tmp_path, make_run(), write_value)
    called = Run("toy", "toys", "another-name", {"value": 1}, {}, "c")
    assert produce(tmp_path, called, write_value) == path
    assert called.location in Finished(tmp_path)
    assert where(tmp_path, called.location) == path
    missing = Run("toy", "toys", "toy", {"value": 2}, {}, "c")
    assert where(tmp_path, missing.location) == tmp_path / missing.location
    (path / MANIFEST).unlink()
    assert called.location not in Finished(tmp_path)


def test_a_run_whose_input_was_made_again_with_other_contents_is_told(tmp_path: Path) -> None:
    source = make_run(1)
    first = produce(tmp_path, source, write_value)
    reader = produce(tmp_path, make_run(2, {"a": source.location}), write_value)
    assert verify(tmp_path) == (2, [])
    shutil.rmtree(first)
    assert verify(tmp_path) == (1, []), "what is not there is not missed"
    produce(tmp_path, source, lambda work: work.write_json("value.json", 7))
    problem = f"{reader}: was made of other contents than {first} has now; "
    assert verify(tmp_path) == (2, [f"{problem}the next call of snakemake makes it anew"])

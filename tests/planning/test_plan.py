"""Plans: kept on disk, and searched for runs."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from project import Project, photos

from distillery.core import kept as core_kept
from distillery.core.errors import UserError
from distillery.experiment import reading
from distillery.planning import build, loading
from distillery.planning.plan import Plan
from distillery.runs import run as runs


def test_a_plan_survives_the_disk(project: Project) -> None:
    file = project.params({"methods": {"kd": {}, "aecrd": {}}})
    made, kept = loading.load(file, project.data), loading.load(file, project.data)
    assert kept is not made
    assert kept == made


def test_a_kept_plan_needs_nothing_of_what_trains_or_reads_images(project: Project) -> None:
    photos(project.raw / "photos")
    folder = {
        "source": "image-folder",
        "path": "photos",
        "image_size": 8,
        "split": {"per_class": 4},
    }
    project.plan({"methods": {"kd": {}}, "data": folder})
    code = (
        "import sys; from pathlib import Path; from distillery.planning import loading;"
        "loading.load(Path(sys.argv[1]), Path(sys.argv[2]));"
        "assert not {'torch', 'pandas', 'numpy', 'PIL', 'tarfile'} & sys.modules.keys()"
    )
    arguments = [str(project.folder / "tiny.yaml"), str(project.data)]
    subprocess.run([sys.executable, "-c", code, *arguments], check=True)


def test_keys_do_not_depend_on_the_folder_of_the_params_file(
    project: Project, tmp_path: Path
) -> None:
    one = project.plan()
    copy = tmp_path / "elsewhere.yaml"
    copy.write_text((project.folder / "tiny.yaml").read_text())
    assert loading.load(copy, project.data).runs == one.runs


def test_runs_are_found_by_key_name_and_path(project: Project) -> None:
    planned = project.plan()
    run = planned.stage("split")[0]
    for name in (run.key, run.name, f"data/{run.location}/", f"data/{run.location}/manifest.json"):
        assert planned.find(name) == run
    with pytest.raises(UserError, match="unknown run 'digits-split-x'; did you mean"):
        planned.find("digits-split-x")


@pytest.fixture
def kept(project: Project, monkeypatch: pytest.MonkeyPatch) -> tuple[Plan, Path, list[int]]:
    """A plan, the file that it is kept in, and a list that grows when it is made anew."""
    planned, made = project.plan(), []
    (file,) = (project.data / ".cache" / "plans").glob("*.json")

    def make(*_: object) -> Plan:
        made.append(1)
        return planned

    digest = loading.source_digest()
    monkeypatch.setattr(loading, "source_digest", lambda: digest)
    monkeypatch.setattr(reading, "load", lambda _: SimpleNamespace(data_sets={}))
    monkeypatch.setattr(build, "build", make)
    return planned, file, made


def test_a_damaged_plan_is_made_anew(
    project: Project, kept: tuple[Plan, Path, list[int]], capfd: pytest.CaptureFixture[str]
) -> None:
    planned, file, made = kept
    whole, draw = file.read_bytes(), random.Random(0)
    damaged = [whole[: draw.randrange(len(whole))] for _ in range(20)]
    for bit in draw.sample(range(8 * len(whole)), 300):
        flipped = bytearray(whole)
        flipped[bit // 8] ^= 1 << bit % 8
        damaged.append(bytes(flipped))
    for number, content in enumerate([*damaged, b"", b"\0" * len(whole)], start=1):
        file.write_bytes(content)
        assert loading.load(project.folder / "tiny.yaml", project.data) == planned
        assert len(made) == number
        assert file.read_bytes() == whole, "it is kept again"
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("part", ["settings", "inputs", "code", "slug", "location"])
def test_a_plan_with_a_digest_of_its_own_needs_keys_of_its_own(
    project: Project,
    kept: tuple[Plan, Path, list[int]],
    monkeypatch: pytest.MonkeyPatch,
    part: str,
) -> None:
    planned, file, made = kept
    content = json.loads(file.read_bytes().partition(b"\n")[2])
    student = planned.stage("train-student")[0]
    run = content["runs"][student.location]
    if part == "location":
        content["runs"]["elsewhere"] = content["runs"].pop(student.location)
    else:
        changes = {
            "settings": {**run["settings"], "seed": 7},
            "inputs": {},
            "code": "",
            "slug": "x",
        }
        run[part] = changes[part]
    monkeypatch.setattr(core_kept, "seal", lambda *_: "right")
    file.write_bytes(b"right\n" + json.dumps(content).encode())
    assert loading.load(project.folder / "tiny.yaml", project.data) == planned
    assert made


def test_a_plan_is_made_where_none_can_be_kept(project: Project, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert loading.load(project.params(), tmp_path / "file") == project.plan()


def test_the_cost_of_a_plan_grows_with_its_runs(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever many runs read is planned once, not once for each of them."""
    key_of, computed = runs.run_key, []

    def counted(identity: dict[str, object]) -> str:
        computed.append(1)
        return key_of(identity)

    monkeypatch.setattr(runs, "run_key", counted)
    # Two runs a seed and method: the training and its evaluation.
    counts = {}
    for seeds in (50, 200):
        computed.clear()
        changes = {"seeds": list(range(seeds)), "methods": {"kd": {}}}
        planned = project.plan(changes, f"seeds-{seeds}")
        counts[len(planned.runs)] = len(computed)
    (few, hashed_few), (many, hashed_many) = counts.items()
    assert few >= 200
    assert many >= 800
    # A student asks for its embeddings once more.
    assert hashed_many - hashed_few <= 1.5 * (many - few)


def test_planning_does_not_load_the_compiler_of_torch(project: Project) -> None:
    code = (
        "import sys; from pathlib import Path; from distillery.planning import loading;"
        "loading.load(Path(sys.argv[1]), Path(sys.argv[2]));"
        "assert 'torch' in sys.modules and 'torch._dynamo' not in sys.modules"
    )
    arguments = [str(project.params({"methods": {"ofd": {}}})), str(project.data)]
    subprocess.run([sys.executable, "-c", code, *arguments], check=True)

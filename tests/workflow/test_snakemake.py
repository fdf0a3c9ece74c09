"""The whole workflow through Snakemake, as users call it."""

from __future__ import annotations

import json
import os
import random
import shutil
import time
from pathlib import Path

import pytest
from checkout import Checkout
from processes import wait_for
from project import give_other_contents

pytestmark = pytest.mark.slow


def test_the_report_is_there_and_nothing_is_left_to_do(finished: Checkout) -> None:
    page = (finished.folder / "reports" / "index.html").read_text()
    for name, _ in finished.manifests().items():
        if name.startswith("students/"):
            assert name.rpartition("-")[2] in page
    started = time.monotonic()
    assert "Nothing to be done" in finished.snakemake("-n")
    assert time.monotonic() - started < 5
    assert "0 problems" in finished.run("distillery", "verify")
    plan = json.loads(finished.run("distillery", "plan", "--json"))
    assert all(run["done"] for run in plan["runs"])


@pytest.mark.parametrize(
    "name", ["my params/x$(touch PWNED).yaml", "params/it's `touch PWNED`.yaml"]
)
def test_a_params_file_of_any_name(fresh: Checkout, name: str) -> None:
    """Its name is a word of the jobs' command lines, and never a part of the shell's language."""
    file = fresh.folder / name
    file.parent.mkdir(exist_ok=True)
    shutil.copy(fresh.folder / "params" / "digits.yaml", file)
    fresh.run("snakemake", "--cores", "1", "--configfile", name, "--", "prepared")
    assert list((fresh.folder / "data" / "prepared").iterdir())
    assert not list(fresh.folder.rglob("PWNED"))


def test_times_and_snakemakes_own_records_play_no_part(finished: Checkout) -> None:
    shutil.rmtree(finished.folder / ".snakemake")
    files = [path for path in (finished.folder / "data").rglob("*") if path.is_file()]
    random.Random(0).shuffle(files)
    for number, path in enumerate(files):
        os.utime(path, (1_700_000_000 + number, 1_700_000_000 + number))
    assert "Nothing to be done" in finished.snakemake("-n")


def test_deleting_one_artifact_rebuilds_just_that(finished: Checkout) -> None:
    before = finished.manifests()
    student = finished.only("students", "-crd-")
    metrics = (student / "metrics.json").read_text()
    shutil.rmtree(student)
    finished.snakemake()
    after = finished.manifests()
    rebuilt = {name for name in after if after[name] != before.get(name)}
    assert before.keys() == after.keys()
    assert rebuilt == {f"students/{student.name}"}
    assert (student / "metrics.json").read_text() == metrics


def test_what_was_made_of_other_contents_is_made_again_with_the_report(
    finished: Checkout, tmp_path: Path
) -> None:
    """As when a student is made again on another machine, which gives other bits."""
    checkout = finished.copied(tmp_path / "copy")
    before = checkout.manifests()
    student = checkout.only("students", "-crd-")
    give_other_contents(student)
    report = checkout.folder / "reports" / "metrics.json"
    stamp = report.stat().st_mtime_ns
    plan = json.loads(checkout.run("distillery", "plan", "--json"))
    outdated = {run["run"] for run in plan["runs"] if run["outdated"]}
    assert "outdated" in checkout.run("distillery", "status")
    said = checkout.run("snakemake", "--cores", "all")
    assert f"to make: {len(outdated)} runs" in said
    assert f"made {len(outdated)} runs" in said
    after = checkout.manifests()
    made = {name for name in after if after[name] != before.get(name)}
    assert made - {f"students/{student.name}"} == outdated
    assert report.stat().st_mtime_ns != stamp
    assert "Nothing to be done" in checkout.snakemake("-n")
    assert "0 problems" in checkout.run("distillery", "verify")


def test_a_run_that_fails_does_not_lose_the_others_of_its_job(finished: Checkout) -> None:
    """The third student of three diverges; what the others gave is kept, and not made again."""
    entries = {
        "kd-cold": {"method": "kd", "options": {"temperature": 2}},
        "kd-hot": {"method": "kd", "options": {"temperature": 8}},
        "diverging": {"method": "kd", "training": {"lr": 100, "weight_decay": 10}},
    }
    finished.write_params({"name": "failing", "!methods": entries}, "failing")
    before = finished.manifests()
    said = finished.run(
        "snakemake", "--cores", "2", "--configfile", "params/failing.yaml", fails=True
    )
    (failure,) = {line for line in said.splitlines() if line.startswith("failed: ")}
    assert failure.startswith("failed: train-student digits-p-")
    assert "not finite" in failure
    assert said.splitlines()[-1] == "report of what is there: reports/failing/index.html"
    assert "Traceback" not in said
    kept = finished.manifests()
    assert len({name for name in kept if name.startswith("students/")} - before.keys()) == 2
    del entries["diverging"]
    finished.write_params({"name": "failing", "!methods": entries}, "failing")
    finished.snakemake("--configfile", "params/failing.yaml")
    after = finished.manifests()
    assert all(after[name] == kept[name] for name in kept)
    (finished.folder / "params" / "failing.yaml").unlink()


def test_after_a_kill_of_snakemake_itself_the_next_call_just_goes_on(fresh: Checkout) -> None:
    """What it had started goes on, too, and is waited for; nothing is unlocked by hand."""
    killed = fresh.start("snakemake", "--cores", "2")
    logs = fresh.folder / "logs" / "train-teacher"
    wait_for(lambda: list(logs.glob("*.log")), "a training to begin", 200)
    killed.kill()
    killed.wait()
    before = fresh.manifests()
    assert "Nothing to be done" not in fresh.snakemake()
    after = fresh.manifests()
    assert all(after[name] == when for name, when in before.items())
    assert "Nothing to be done" in fresh.snakemake("-n")
    assert "0 problems" in fresh.run("distillery", "verify")


def test_another_params_file_shares_what_it_can_and_replaces_nothing(finished: Checkout) -> None:
    finished.write_params(
        {"name": "other", "methods": {"ce": {}, "kd": {}}, "report": {"baseline": "ce"}}, "other"
    )
    before = finished.manifests()
    finished.snakemake("--configfile", "params/other.yaml")
    after = finished.manifests()
    assert all(after[name] == before[name] for name in before)
    new = {name for name in after if name not in before}
    assert sorted(name.partition("/")[0] for name in new) == [
        "evaluations",
        "evaluations",
        "students",
    ]
    assert (finished.folder / "reports" / "other" / "index.html").exists()
    assert "Nothing to be done" in finished.snakemake("-n")


def test_cores_and_size_of_jobs_do_not_change_results(finished: Checkout, fresh: Checkout) -> None:
    fresh.snakemake("--resources", "batch=1", cores=1)
    for path in (fresh.folder / "data" / "students").iterdir():
        twin = finished.folder / "data" / "students" / path.name
        assert (path / "metrics.json").read_text() == (twin / "metrics.json").read_text()
    for name in ("tables/main.csv", "figures/accuracy.svg"):
        ours, theirs = (c.folder / "reports" / name for c in (fresh, finished))
        assert ours.read_bytes() == theirs.read_bytes(), name


def test_wrong_calls_end_in_one_line_and_status_2(finished: Checkout) -> None:
    finished.write_params({"!methods": {"crdd": {}}}, "wrong")
    said = finished.run("snakemake", "-n", "--configfile", "params/wrong.yaml", fails=True)
    assert "params/wrong.yaml: methods.crdd: unknown method 'crdd'; did you mean 'crd'?" in said
    assert "Traceback" not in said
    # Nothing may be removed while a params file cannot be read.
    assert "crdd" in finished.run("distillery", "gc", "--remove", fails=True)
    (finished.folder / "params" / "wrong.yaml").unlink()
    said = finished.run("snakemake", "-n", "--configfile", "params/digit.yaml", fails=True)
    assert said.splitlines()[-1].endswith("no such params file; did you mean 'digits.yaml'?")
    assert "Traceback" not in said
    said = finished.run("snakemake", "-n", "--config", "seeds=3", fails=True)
    assert "--config is not supported" in said
    said = finished.run("distillery", "plan", "--params", "params/zzz.yaml", fails=True)
    assert said.strip() == "distillery: params/zzz.yaml: no such params file"


def test_adopting_keeps_runs_after_a_harmless_edit(finished: Checkout) -> None:
    edited = finished.folder / "src" / "distillery" / "training" / "schedule.py"
    original = edited.read_text()
    before = finished.manifests()
    try:
        edited.write_text(original + "\n\n# A comment changes nothing.\n")
        assert "Nothing to be done" in finished.snakemake("-n")
        edited.write_text(original + "\n\nUNUSED = 1\n")
        assert "train-student" in finished.snakemake("-n")
        said = finished.run("distillery", "adopt")
        # The teacher, its cache, both students: the evaluations and the table hang on them.
        assert "runs adopted" in said
        finished.snakemake()
        after = finished.manifests()
        students = {name for name in after if name.startswith("students/")} - before.keys()
        assert len(students) >= 2
        for name in students:
            manifest = json.loads((finished.folder / "data" / name / "manifest.json").read_text())
            assert manifest["adopted_from"]
        assert "adopted" in (finished.folder / "reports" / "index.html").read_text()
    finally:
        edited.write_text(original)
    unwanted = finished.run("distillery", "gc")
    assert all(name in unwanted for name in students)
    finished.run("distillery", "gc", "--remove")
    assert not students & finished.manifests().keys()
    finished.snakemake()

"""DVC over Snakemake: both make the same artifacts, and whichever comes second makes nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from checkout import Checkout

pytestmark = pytest.mark.slow


def test_dvc_after_snakemake_computes_nothing(finished: Checkout) -> None:
    before = finished.manifests()
    page = (finished.folder / "reports" / "index.html").stat().st_mtime_ns
    finished.run("dvc", "repro")
    assert finished.manifests() == before
    assert (finished.folder / "reports" / "index.html").stat().st_mtime_ns == page
    assert "up to date" in finished.run("dvc", "status")


def test_an_own_experiment_is_shared_and_compared_like_the_default_one(
    finished: Checkout, tmp_path: Path
) -> None:
    """Two params files, a remote, a fresh clone, and another setting of the own one."""
    mine = finished.folder / "reports" / "mine"
    finished.write_params({"name": "mine", "methods": {"ce": {}, "kd": {}}}, "mine")
    finished.run("distillery", "dvc", "params/digits.yaml", "params/mine.yaml")
    finished.run("dvc", "repro")
    finished.run("dvc", "remote", "add", "--default", "storage", str(tmp_path / "storage"))
    finished.commit()
    finished.run("dvc", "push")

    clone = finished.clone(tmp_path / "clone")
    clone.run("dvc", "pull", "reports-mine")
    for name in ("index.html", "metrics.json", "tables/main.csv", "figures/accuracy.png"):
        assert (clone.folder / "reports/mine" / name).read_bytes() == (mine / name).read_bytes()
    assert not (clone.folder / "data" / "students").exists(), "a report can be pulled alone"
    clone.run("dvc", "pull")
    assert clone.manifests().keys() == finished.manifests().keys()
    assert "up to date" in clone.run("dvc", "status")
    assert "would make" not in clone.snakemake("-n", "--", "students")

    setting = ("--set-param", "params/mine.yaml:training.epochs=5")
    finished.run("dvc", "exp", "run", "--temp", "--name", "longer", *setting)
    before = (mine / "metrics.json").read_text()
    shown = json.loads(finished.run("dvc", "exp", "show", "--json"))
    assert _metrics_of(shown) == {"workspace", "longer"}
    finished.run("dvc", "exp", "apply", "longer")
    after = (mine / "metrics.json").read_text()
    assert after != before
    changes = json.loads(finished.run("dvc", "metrics", "diff", "--json"))
    assert set(changes) == {"reports/mine/metrics.json"}
    assert "epochs" in finished.run("dvc", "params", "diff", "--json")
    finished.run("dvc", "plots", "diff", "HEAD")
    page = (finished.folder / "dvc_plots" / "index.html").read_text()
    assert "mine" in page
    assert "accuracy.png" in page
    # Nothing is left that one would have to commit or to ignore.
    changed = {line[3:] for line in finished.run("git", "status", "--porcelain").splitlines()}
    assert changed == {"dvc.lock", "params/mine.yaml"}


def test_snakemake_after_dvc_computes_nothing_and_a_setting_can_be_tried(fresh: Checkout) -> None:
    fresh.run("dvc", "repro")
    assert "Nothing to be done" in fresh.snakemake("-n")
    shown = json.loads(fresh.run("dvc", "metrics", "show", "--json"))
    assert "reports/metrics.json" in json.dumps(shown)
    fresh.commit()
    metrics = json.loads((fresh.folder / "reports" / "metrics.json").read_text())
    fresh.run(
        "dvc",
        "exp",
        "run",
        "--temp",
        "--name",
        "longer",
        "--set-param",
        "params/digits.yaml:training.epochs=6",
    )
    tried = json.loads(_experiment(fresh))
    assert tried != metrics
    # The workspace is what it was.
    assert json.loads((fresh.folder / "reports" / "metrics.json").read_text()) == metrics
    # The same setting in the workspace gives the same numbers as in the copy.
    params = fresh.folder / "params" / "digits.yaml"
    params.write_text(params.read_text().replace("epochs: 3", "epochs: 6"))
    fresh.snakemake()
    assert json.loads((fresh.folder / "reports" / "metrics.json").read_text()) == tried


def _metrics_of(shown: list[dict[str, Any]]) -> set[str]:
    """Return which states of the project have metrics of the own experiment."""
    states = {
        rev.get("name") or rev["rev"]: rev
        for state in shown
        for rev in (state, *(each["revs"][0] for each in state.get("experiments") or ()))
    }
    return {
        name
        for name, state in states.items()
        if "reports/mine/metrics.json" in ((state.get("data") or {}).get("metrics") or {})
        and name in ("workspace", "longer")
    }


def _experiment(checkout: Checkout) -> str:
    refs = checkout.run("git", "for-each-ref", "--format=%(refname)", "refs/exps").split()
    (ref,) = (name for name in refs if Path(name).name == "longer")
    return checkout.run("git", "show", f"{ref}:reports/metrics.json")

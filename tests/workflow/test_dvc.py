"""DVC over Snakemake: both make the same artifacts, and whichever comes second makes nothing."""

from __future__ import annotations

import json
from pathlib import Path

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


def _experiment(checkout: Checkout) -> str:
    refs = checkout.run("git", "for-each-ref", "--format=%(refname)", "refs/exps").split()
    (ref,) = (name for name in refs if Path(name).name == "longer")
    return checkout.run("git", "show", f"{ref}:reports/metrics.json")

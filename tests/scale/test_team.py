"""Several people, one remote: what one has computed, nobody computes again."""

from __future__ import annotations

import json
import os
import urllib.request
from pathlib import Path

import pytest
from checkout import Checkout
from processes import wait_for

pytestmark = pytest.mark.slow

HEAVY = os.environ.get("DISTILLERY_SCALE") == "full"
CHANGED = {"crd": {"options": {"negatives": 16}, "weights": {"method": 0.5}}}


class Team:
    """Two people with clones of one repository, and a remote of DVC."""

    def __init__(self, folder: Path) -> None:
        self.ann = Checkout(folder / "ann")
        self.ann.snakemake()
        self.ann.run("dvc", "repro")
        self.ann.run("dvc", "remote", "add", "--default", "storage", str(folder / "storage"))
        self.ann.commit()
        self.ann.run("dvc", "push")
        self.ann.run("git", "clone", "--quiet", "--bare", ".", str(folder / "shared.git"))
        self.ann.run("git", "remote", "add", "origin", str(folder / "shared.git"))
        self.bob = self.ann.clone(folder / "elsewhere" / "bob")
        self.bob.run("git", "remote", "set-url", "origin", str(folder / "shared.git"))
        self.branch = self.ann.run("git", "branch", "--show-current").strip()


@pytest.fixture(scope="module")
def team(tmp_path_factory: pytest.TempPathFactory) -> Team:
    return Team(tmp_path_factory.mktemp("team"))


def test_a_clone_computes_what_nobody_has_computed(team: Team) -> None:
    """And two who computed the same share both: Git alone asks which record is kept."""
    ann, bob = team.ann, team.bob
    bob.run("dvc", "pull")
    assert bob.manifests().keys() == ann.manifests().keys()
    assert "would make" not in bob.snakemake("-n", "--", "students")
    assert "Nothing to be done" in bob.snakemake("-n", "--", "evaluations")
    assert "0 problems" in bob.run("distillery", "verify")

    had = bob.manifests()
    for person in (ann, bob):
        person.write_params(
            {"name": "digits", "methods": {"ce": {}, **CHANGED}, "report": {"folder": "reports"}}
        )
        person.snakemake()
        person.run("dvc", "repro")
        person.commit()
    has = bob.manifests()
    assert {name: has[name] for name in had} == had, "what was there stays as it was"
    new = sorted(name.split("/")[0] for name in has.keys() - had.keys())
    assert new.count("students") == 1
    assert set(new) == {"students", "evaluations"}
    assert has.keys() == ann.manifests().keys()

    for person in (ann, bob):
        person.run("dvc", "push")
    ann.run("git", "push", "--quiet", "origin", team.branch)
    identity = ("-c", "user.name=b", "-c", "user.email=b@example.org")
    bob.run("git", "fetch", "--quiet", "origin")
    bob.run("git", *identity, "merge", f"origin/{team.branch}", fails=True)
    disputed = set(bob.run("git", "diff", "--name-only", "--diff-filter=U").split())
    assert all(name == "dvc.lock" or name.startswith("reports/") for name in disputed)
    bob.run("git", "checkout", "HEAD", "--", "dvc.lock", "reports")
    bob.commit()
    assert "up to date" in bob.run("dvc", "status")
    assert "0 problems" in bob.run("distillery", "verify")


def test_a_remote_behind_an_s3_interface(team: Team, tmp_path: Path) -> None:
    """That of moto, on loopback: `uv pip install 'moto[server]' 'dvc[s3]'`."""
    server = pytest.importorskip("moto.server")
    pytest.importorskip("dvc_s3")
    running = server.ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    running.start()
    try:
        host, port = running.get_host_and_port()
        url = f"http://{host}:{port}"
        bucket = urllib.request.Request(f"{url}/team", method="PUT")
        assert urllib.request.urlopen(bucket).status == 200
        secrets = {
            "AWS_ACCESS_KEY_ID": "of-nobody",
            "AWS_SECRET_ACCESS_KEY": "of-nobody",
            "AWS_DEFAULT_REGION": "us-east-1",
        }
        ann = team.ann
        ann.run("dvc", "remote", "add", "objects", "s3://team/distillery")
        ann.run("dvc", "remote", "modify", "objects", "endpointurl", url)
        ann.commit()
        ann.run("dvc", "push", "--remote", "objects", environment=secrets)
        carl = ann.clone(tmp_path / "carl")
        carl.run("dvc", "pull", "--remote", "objects", environment=secrets)
        assert carl.manifests().keys() == ann.manifests().keys()
        assert "0 problems" in carl.run("distillery", "verify")
    finally:
        running.stop()
    assert json.loads((carl.folder / "reports" / "metrics.json").read_text())


@pytest.mark.skipif(not HEAVY, reason="takes minutes: DISTILLERY_SCALE=full")
def test_two_workers_of_a_queue_try_two_settings(team: Team) -> None:
    ann = team.ann
    for epochs in (1, 2):
        setting = f"params/digits.yaml:training.epochs={epochs}"
        ann.run("dvc", "exp", "run", "--queue", "--name", f"of-{epochs}", "--set-param", setting)
    ann.run("dvc", "queue", "start", "--jobs", "2")
    try:
        wait_for(lambda: _told(ann) == {"of-1", "of-2"}, "both experiments", 1500)
    finally:
        ann.run("dvc", "queue", "stop", "--kill")
    shown = {
        name: ann.run("git", "show", f"{ref}:reports/metrics.json")
        for name, ref in _experiments(ann).items()
    }
    assert shown["of-1"] != shown["of-2"]


def _told(checkout: Checkout) -> set[str]:
    status = checkout.run("dvc", "queue", "status")
    assert "Failed" not in status, status
    return {
        name
        for name in ("of-1", "of-2")
        for line in status.splitlines()
        if name in line and "Success" in line
    }


def _experiments(checkout: Checkout) -> dict[str, str]:
    refs = checkout.run("git", "for-each-ref", "--format=%(refname)", "refs/exps").split()
    return {Path(ref).name: ref for ref in refs if Path(ref).name.startswith("of-")}

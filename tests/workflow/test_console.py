"""What `snakemake` prints, and how it ends when Ctrl-C is pressed."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator

import pytest
from checkout import Checkout
from processes import wait_for

pytestmark = pytest.mark.slow


@pytest.fixture
def foreground() -> Iterator[None]:
    """Let Ctrl-C reach the programs that are started, also where tests run in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("foreground")
def test_ctrl_c_ends_in_one_line_and_the_next_call_goes_on_in_the_same_log(fresh: Checkout) -> None:
    """As a terminal sends it: to Snakemake and to all that it started."""
    stopped = fresh.start("snakemake", "--cores", "2", start_new_session=True)
    logs = fresh.folder / "logs" / "train-teacher"
    wait_for(lambda: any(log.stat().st_size for log in logs.glob("*.log")), "training", 200)
    (log,) = logs.glob("*.log")
    os.killpg(stopped.pid, signal.SIGINT)
    said, _ = stopped.communicate()
    assert stopped.returncode
    last = said.splitlines()[-1]
    assert re.fullmatch(r"stopped: \d of \d+ runs made; the next call goes on from there", last)
    assert "Traceback" not in said
    assert "Error" not in said
    assert "Traceback" not in log.read_text()
    earlier = log.read_text()
    detailed = fresh.start("snakemake", "--cores", "2", "--verbose", start_new_session=True)
    wait_for(lambda: len(log.read_text()) > len(earlier) + 100, "training", 200)
    os.killpg(detailed.pid, signal.SIGINT)
    said, _ = detailed.communicate()
    assert detailed.returncode
    assert "report" not in said.partition("Terminating processes on user request")[2]
    assert log.read_text().startswith(earlier)
    earlier = log.read_text()

    lines = fresh.snakemake().splitlines()
    assert log.read_text().startswith(earlier)
    assert len(lines) < 30
    assert max(map(len, lines)) < 300
    made = [run.partition("/")[2] for run in fresh.manifests()]
    assert sum(any(name in line for name in made) for line in lines) <= len(made)
    student = fresh.only("students", "-crd-")
    assert any(
        re.fullmatch(rf"train-student\s+{student.name}  test top-1 [\d.]+ %  [\d.]+ s", line)
        for line in lines
    )
    assert lines[-2].startswith("made ")
    assert lines[-1] == "report: reports/index.html"
    assert "Building DAG of jobs" in fresh.snakemake("-n", "--verbose")

"""A Slurm cluster of this machine alone, with two made-up GPUs, from Debian's packages.

`apt-get install --no-install-recommends slurm-wlm munge` has all it needs. It takes root, since
commands of a job find the configuration in /etc/slurm only. A cluster that is there already is left
alone.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PROGRAMS = ("slurmctld", "slurmd", "munged", "sbatch", "squeue", "scancel", "scontrol", "sinfo")
_ETC = Path("/etc/slurm")
_PORTS = {"SlurmctldPort": 26817, "SlurmdPort": 26818}
# A job that waits for what is not there fails the test, not the machine.
_SECONDS = 30


def reason_for_none() -> str | None:
    """Return why no cluster can be started here; None where one can."""
    if os.getuid() != 0:
        return "a cluster of one's own takes root"
    missing = [name for name in PROGRAMS if not shutil.which(name)]
    if missing:
        return f"{missing[0]} is not installed (Debian: slurm-wlm and munge)"
    if (_ETC / "slurm.conf").exists():
        return f"{_ETC}/slurm.conf: a cluster is there already"
    return None


class Cluster:
    """What the tests ask of it.

    Attributes:
        node: name of the one node.
        memory: of the node, in MiB.
    """

    def __init__(self, folder: Path, cores: int) -> None:
        self.folder = folder
        self.node = socket.gethostname().partition(".")[0]
        pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        self.memory = pages * 8 // 10 // 2**20
        self._cores = cores

    def configuration(self) -> dict[str, str]:
        """Return the text of each file of /etc/slurm."""
        folder, node = self.folder, self.node
        settings = {
            "ClusterName": "one",
            "SlurmctldHost": f"{node}(127.0.0.1)",
            "SlurmUser": "root",
            "AuthType": "auth/munge",
            "MpiDefault": "none",
            "ProctrackType": "proctrack/linuxproc",
            "TaskPlugin": "task/none",
            "JobAcctGatherType": "jobacct_gather/none",
            "AccountingStorageType": "accounting_storage/none",
            "SelectType": "select/cons_tres",
            "SelectTypeParameters": "CR_Core_Memory",
            # More cores than there are may be claimed.
            "SlurmdParameters": "config_overrides",
            "SchedulerParameters": "sched_interval=2,bf_interval=2",
            "ReturnToService": "2",
            # squeue remembers jobs that have ended, for want of accounting.
            "MinJobAge": "3600",
            **{name: str(port) for name, port in _PORTS.items()},
            "StateSaveLocation": f"{folder}/state",
            "SlurmdSpoolDir": f"{folder}/spool",
            "SlurmctldPidFile": f"{folder}/slurmctld.pid",
            "SlurmdPidFile": f"{folder}/slurmd.pid",
            "SlurmctldLogFile": f"{folder}/slurmctld.log",
            "SlurmdLogFile": f"{folder}/slurmd.log",
            "GresTypes": "gpu",
        }
        lines = [f"{name}={value}" for name, value in settings.items()]
        hardware = f"CPUs={self._cores} RealMemory={self.memory} Gres=gpu:2"
        lines.append(f"NodeName={node} NodeAddr=127.0.0.1 {hardware} State=UNKNOWN")
        lines.append(f"PartitionName=main Nodes={node} Default=YES MaxTime=INFINITE State=UP")
        # Only devices count as GPUs, whatever they are.
        gpus = [f"NodeName={node} Name=gpu File=/dev/{name}" for name in ("null", "zero")]
        return {
            "slurm.conf": "\n".join(lines) + "\n",
            "gres.conf": "\n".join(gpus) + "\n",
            "cgroup.conf": "CgroupAutomount=no\n",
        }

    def ask(self, *command: str) -> str:
        """Run one of Slurm's commands and return what it prints."""
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    def jobs(self, state: str) -> list[str]:
        """Return the numbers of the jobs in a state, for example ``RUNNING``."""
        return self.ask("squeue", "--noheader", "--format=%A", "--states", state).split()

    def drain(self) -> None:
        """Let the node finish what it has and take nothing new."""
        self._node("State=DRAIN", "Reason=test")

    def resume(self) -> None:
        """Let the node take jobs again."""
        self._node("State=RESUME")

    def _node(self, *state: str) -> None:
        self.ask("scontrol", "update", f"NodeName={self.node}", *state)

    def state(self) -> str:
        """Return the state of the node, for example ``idle``."""
        return self.ask("sinfo", "--noheader", "--format=%T")


@contextmanager
def cluster(folder: Path, cores: int) -> Iterator[Cluster]:
    """Start a cluster whose files lie in ``folder``; stop it at the end."""
    made = Cluster(folder, cores)
    for name in ("state", "spool"):
        (folder / name).mkdir(parents=True)
    written = []
    try:
        for name, text in made.configuration().items():
            (_ETC / name).write_text(text)
            written.append(_ETC / name)
        with _munge():
            subprocess.run(["slurmctld"], check=True)
            subprocess.run(["slurmd"], check=True)
            _wait_for(made, "idle")
            yield made
    finally:
        for name in ("slurmd", "slurmctld"):
            _stop(folder / f"{name}.pid")
        for path in written:
            path.unlink()


@contextmanager
def _munge() -> Iterator[None]:
    """Start the service by which Slurm's programs trust each other, unless it runs."""
    if _answers():
        yield
        return
    for path, mode in (("/run/munge", 0o755), ("/var/lib/munge", 0o700), ("/var/log/munge", 0o700)):
        Path(path).mkdir(parents=True, exist_ok=True)
        shutil.chown(path, "munge", "munge")
        Path(path).chmod(mode)
    subprocess.run(["runuser", "-u", "munge", "--", "munged"], check=True)
    try:
        deadline = time.monotonic() + _SECONDS
        while not _answers():
            assert time.monotonic() < deadline, "munged does not answer"
            time.sleep(0.1)
        yield
    finally:
        _stop(Path("/run/munge/munged.pid"))


def _answers() -> bool:
    return subprocess.run(["munge", "--no-input"], capture_output=True).returncode == 0


def _wait_for(made: Cluster, state: str) -> None:
    deadline = time.monotonic() + _SECONDS
    while (now := made.state()) != state:
        assert time.monotonic() < deadline, f"the node is {now}, not {state}"
        time.sleep(0.1)


def _stop(pid_file: Path) -> None:
    """End a service by its own number and wait until it is gone."""
    if not pid_file.exists() or not (number := pid_file.read_text().strip()):
        return
    subprocess.run(["kill", number], check=False)
    deadline = time.monotonic() + _SECONDS
    while Path(f"/proc/{number}").exists() and time.monotonic() < deadline:
        time.sleep(0.1)

"""Where locks and signals of Unix are missing, that costs one line."""

from __future__ import annotations

import subprocess
import sys


def test_another_system_is_told_which_ones_it_runs_on() -> None:
    script = "import sys; sys.modules['fcntl'] = None; import distillery.cli"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr == "distillery: needs Linux or macOS (on Windows: WSL)\n"

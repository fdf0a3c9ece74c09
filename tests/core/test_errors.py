"""How failures end a process."""

from __future__ import annotations

import subprocess
import sys


def test_ctrl_c_ends_in_one_line_also_when_it_comes_twice() -> None:
    code = (
        "import os, signal\n"
        "from distillery.core.errors import exit_on_failure\n"
        # Tests may run in the background, where it is ignored.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "with exit_on_failure():\n"
        "    try:\n"
        "        os.kill(os.getpid(), signal.SIGINT)\n"
        "        signal.pause()\n"
        "    finally:\n"
        "        import atexit\n"
        "        atexit.register(os.kill, os.getpid(), signal.SIGINT)\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ended.stderr == "distillery: stopped\n"
    assert ended.returncode == 130

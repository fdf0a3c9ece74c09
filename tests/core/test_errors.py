"""How failures end a process."""

from __future__ import annotations

import subprocess
import sys

import pytest

from distillery.core.errors import UserError, exit_on_failure


def test_ctrl_c_ends_in_one_line_also_when_it_comes_twice() -> None:
    code = (
        "import os, signal\n"
        "from distillery.core.errors import UserError, exit_on_failure\n"
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


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        MemoryError("Unable to allocate 9 GiB"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried\nmore"),
        RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"),
        RuntimeError("can't start new thread"),
    ],
)
def test_too_little_memory_costs_one_line(
    error: Exception, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end, exit_on_failure():
        raise error
    assert end.value.code == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("distillery: too little memory (")


def test_other_errors_keep_their_tracebacks() -> None:
    with pytest.raises(RuntimeError, match="a shape"), exit_on_failure():
        raise RuntimeError("a shape is wrong")


def test_quoted_names_neither_break_the_line_nor_command_the_terminal() -> None:
    error = UserError(
        "x.yaml: unknown key 'a\nb\u2028c\x1b[31m\u202ed\ud800', ü and 코 as they are"
    )
    assert str(error) == (
        r"x.yaml: unknown key 'a\nb\u2028c\x1b[31m\u202ed\ud800', ü and 코 as they are"
    )

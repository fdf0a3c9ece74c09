"""Lines and progress on a terminal and in a log."""

from __future__ import annotations

import io

from distillery.console.screen import Screen


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_keeps_the_progress_below_the_lines() -> None:
    stream = Terminal()
    screen = Screen(stream)
    screen.progress("1 of 2")
    screen.line("a run")
    screen.progress("2 of 2")
    screen.clear()
    erase = "\r\x1b[K"
    assert stream.getvalue() == (f"{erase}1 of 2{erase}a run\n{erase}1 of 2{erase}2 of 2{erase}")


def test_a_log_gets_the_progress_once_in_a_while() -> None:
    stream, now = io.StringIO(), 0.0
    screen = Screen(stream, lambda: now)
    for now in range(0, 70):
        screen.progress(f"at {now}")
    screen.clear()
    assert stream.getvalue() == "at 30\nat 60\n"

"""Ctrl-C ends what is starting, whatever an import does with its exception."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading

from processes import wait_for

from distillery.core.signals import ending_at_once, on_request_to_end

STARTING = """
import signal, time
signal.signal(signal.SIGINT, signal.default_int_handler)
from distillery.core.signals import ending_at_once
with ending_at_once():
    print("ready", flush=True)
    for _ in range(100):
        try:
            time.sleep(0.1)
        except BaseException:
            pass  # as modules do that try what they can import
"""


def test_an_interrupt_at_start_up_is_not_swallowed() -> None:
    started = subprocess.Popen([sys.executable, "-c", STARTING], stdout=subprocess.PIPE)
    assert started.stdout
    assert started.stdout.readline() == b"ready\n"
    started.send_signal(signal.SIGINT)
    assert started.wait(timeout=60) == -signal.SIGINT


def test_whoever_reacts_in_his_own_way_comes_first() -> None:
    received: list[int] = []
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    with ending_at_once(), on_request_to_end(received.append):
        signal.raise_signal(signal.SIGINT)
        wait_for(lambda: received, "the signal")
    assert received == [signal.SIGINT]
    assert signal.signal(signal.SIGINT, before) is signal.default_int_handler


def test_other_threads_are_left_alone() -> None:
    failed: list[BaseException] = []

    def enter() -> None:
        try:
            with ending_at_once():
                pass
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert not failed

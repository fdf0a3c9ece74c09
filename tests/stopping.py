"""A training step after which the process is asked to stop."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any

from distillery.training.step import training_step


def stopping_after(steps: int) -> Callable[..., Any]:
    """Return a training step that sends its process a signal after so many steps; 0 for never."""
    done = 0

    def step(*arguments: Any, **options: Any) -> Any:
        nonlocal done
        output = training_step(*arguments, **options)
        done += 1
        if done == steps:
            os.kill(os.getpid(), signal.SIGTERM)
        return output

    return step
